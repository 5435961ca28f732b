//! Reads a guest kernel's console.

/// Init writes this to the kernel's log before the tests. The tests did not cause the warnings before it.
pub const TESTS_BEGIN: &str = "tcptrace-vm: tests begin";

const CUT_HERE: &str = "[ cut here ]";
const PANIC: &str = "Kernel panic - not syncing";
/// How many lines of a warning are shown: its head, the registers, and most of its stack.
const EXCERPT: usize = 40;

/// The health of the kernel, according to its console.
#[derive(Debug, Default, PartialEq)]
pub struct Health {
    /// An excerpt that starts with the kernel's message about its panic.
    pub panic: Option<String>,
    /// An excerpt for every warning since the tests began.
    pub warnings: Vec<String>,
    /// The console itself.
    pub console: String,
}

/// Reads a console.
pub fn health(console: &str) -> Health {
    let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
    // The whole console if the kernel did not reach the tests.
    let begin = lines
        .iter()
        .position(|line| line.contains(TESTS_BEGIN))
        .unwrap_or(0);
    let panic = lines
        .iter()
        .position(|line| line.contains(PANIC))
        .map(|at| cut(&lines[at..]));
    let warnings = (begin..lines.len())
        .filter(|&at| is_warning(&lines, at))
        .map(|at| excerpt(&lines[at..]))
        .collect();
    Health {
        panic,
        warnings,
        console: lines.join("\n"),
    }
}

fn is_warning(lines: &[&str], at: usize) -> bool {
    lines[at].contains(CUT_HERE)
        // Most come after a cut line. Some, such as a sleep while atomic, do not.
        || (message(lines[at]).starts_with("BUG: ") && (at == 0 || !lines[at - 1].contains(CUT_HERE)))
}

fn excerpt(lines: &[&str]) -> String {
    let end = lines
        .iter()
        .position(|line| line.contains("[ end trace") || line.contains(PANIC))
        .map_or(lines.len(), |end| end + 1);
    cut(&lines[..end])
}

fn cut(lines: &[&str]) -> String {
    lines[..lines.len().min(EXCERPT)].join("\n")
}

/// A line without its time stamp.
fn message(line: &str) -> &str {
    match line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((time, message)) if time.trim().parse::<f64>().is_ok() => message,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, health};

    const WARNING: &str = "[    9.120000] ------------[ cut here ]------------\r\n\
        [    9.130000] WARNING: CPU: 0 PID: 101 at net/core/x.c:1 f+0x1/0x2\r\n\
        [    9.140000] ---[ end trace 0000000000000000 ]---\r\n";
    const BEGIN: &str = "[    2.500000] tcptrace-vm: tests begin\r\n";

    #[test]
    fn a_quiet_console_is_healthy() {
        let health = health(BEGIN);
        assert_eq!((health.panic, health.warnings), (None, vec![]));
    }

    #[test]
    fn warnings_count_once_the_tests_have_begun() {
        assert!(health(&format!("{WARNING}{BEGIN}")).warnings.is_empty());
        let Health {
            panic, warnings, ..
        } = health(&format!("{BEGIN}{WARNING}[   10.0] fine\r\n"));
        assert_eq!(panic, None);
        let [warning] = warnings.as_slice() else {
            panic!("one warning: {warnings:?}")
        };
        assert_eq!(warning.lines().count(), 3);
        assert!(warning.contains("net/core/x.c:1"), "{warning}");
    }

    #[test]
    fn a_bug_without_a_cut_is_a_warning() {
        let console = format!("{BEGIN}[    4.0] BUG: scheduling while atomic: live/1\r\n");
        assert_eq!(health(&console).warnings.len(), 1);
    }

    #[test]
    fn a_panic_is_found_wherever_it_is() {
        let panic = "[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n";
        let health = health(&format!("[    0.1] fine\r\n{panic}"));
        assert_eq!(health.panic.as_deref(), Some(panic.trim_end()));
    }
}

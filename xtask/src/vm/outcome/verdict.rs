//! Judges the result of a guest.

use std::time::Duration;

use anyhow::Result;

use super::report::{Outcome, REPEATED, Report};
use crate::vm::guest::Ended;

/// How many lines are shown of the end of a console or an output.
const TAIL: usize = 30;

/// How a guest as a whole ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its tests ran and all passed.
    Ok,
    /// A test or the test program failed.
    Failed,
    /// The tests passed, but the kernel printed a warning.
    Warned,
    /// The kernel panicked.
    Panicked,
    /// It took too long and was stopped.
    TimedOut,
    /// It ended before its tests had ended.
    Vanished,
    /// It ran no test.
    NoTest,
    /// It was not started.
    NotStarted,
}

/// One kernel's part of the table, and the details to show below it.
#[derive(Debug)]
pub struct Verdict {
    /// The kernel's series.
    pub series: &'static str,
    /// How the guest ended.
    pub end: End,
    /// How long it took.
    pub took: Duration,
    report: Report,
    details: Vec<String>,
}

impl Verdict {
    /// Judges the result of a guest.
    pub fn of(series: &'static str, ended: Result<Ended>) -> Self {
        match ended {
            Ok(ended) => Self {
                series,
                end: end(&ended),
                took: ended.took,
                details: details(&ended),
                report: ended.report,
            },
            Err(error) => Self {
                series,
                end: End::NotStarted,
                took: Duration::ZERO,
                details: vec![format!("{error:#}")],
                report: Report::default(),
            },
        }
    }

    /// One line for the guest as a whole.
    pub fn summary(&self) -> String {
        let (release, ran) = (self.report.release.as_deref(), self.report.ran());
        format!(
            "{}, {ran} test{} in {:.1} s on {}",
            self.word(),
            if ran == 1 { "" } else { "s" },
            self.took.as_secs_f64(),
            release.unwrap_or("a kernel that did not come up")
        )
    }

    /// How the guest ended: a word for its column.
    pub fn word(&self) -> &'static str {
        match self.end {
            End::Ok => "ok",
            End::Failed => "FAIL",
            End::Warned => "WARNED",
            End::Panicked => "PANICKED",
            End::TimedOut => "TIMED OUT",
            End::Vanished => "VANISHED",
            End::NoTest => "NO TEST",
            End::NotStarted => "NOT STARTED",
        }
    }

    /// How many of its tests passed.
    pub fn passed(&self) -> usize {
        self.count(Outcome::Ok)
    }

    /// How many of its tests could not run.
    pub fn ignored(&self) -> usize {
        self.count(Outcome::Ignored)
    }

    /// How often a test was repeated.
    pub fn repeated(&self) -> usize {
        let notes = self.report.notes.iter();
        notes.filter(|note| note.starts_with(REPEATED)).count()
    }

    /// How many tests did not run on this kernel, because they do not depend on it.
    pub fn left_to_host(&self) -> usize {
        self.report.left_to_host
    }

    /// Which tests were ignored or repeated, and why: one line each.
    pub fn notes(&self) -> &[String] {
        &self.report.notes
    }

    fn count(&self, outcome: Outcome) -> usize {
        let outcomes = self.report.tests.values();
        outcomes.filter(|one| **one == outcome).count()
    }

    /// The names of its tests.
    pub fn tests(&self) -> impl Iterator<Item = &str> {
        self.report.tests.keys().map(String::as_str)
    }

    /// The cell for a test.
    pub fn cell(&self, test: &str) -> &'static str {
        match self.report.tests.get(test) {
            Some(Outcome::Ok) => "ok",
            Some(Outcome::Failed) => "FAIL",
            Some(Outcome::Ignored) => "ignored",
            // The end of the guest interrupted this test.
            Some(Outcome::Cut) => self.word(),
            None => "-",
        }
    }

    /// What to show below the table: why the guest is not ok.
    pub fn details(&self) -> Option<String> {
        (!self.details.is_empty()).then(|| self.details.join("\n"))
    }
}

fn end(ended: &Ended) -> End {
    let report = &ended.report;
    let failed = report
        .tests
        .values()
        .any(|outcome| matches!(outcome, Outcome::Failed | Outcome::Cut));
    match report.end {
        _ if ended.health.panic.is_some() => End::Panicked,
        None if ended.timed_out => End::TimedOut,
        None => End::Vanished,
        // A guest that was not set up completely proves nothing, even if its tests pass.
        Some(code) if code != 0 || failed || !report.problems.is_empty() => End::Failed,
        Some(_) if report.ran() == 0 => End::NoTest,
        Some(_) if !ended.health.warnings.is_empty() => End::Warned,
        Some(_) => End::Ok,
    }
}

fn details(ended: &Ended) -> Vec<String> {
    let (report, end) = (&ended.report, end(ended));
    let mut details = report.problems.clone();
    details.extend(
        ended
            .health
            .warnings
            .iter()
            .map(|warning| format!("the kernel warned:\n{warning}")),
    );
    match end {
        End::Ok | End::Warned => {}
        End::Failed => {
            details.extend(
                report
                    .end
                    .map(|code| format!("the test program's exit code was {code}")),
            );
            details.push(failures(&report.output));
        }
        End::NoTest => details.push(format!("no test was run:\n{}", tail(&report.output))),
        End::Panicked | End::TimedOut | End::Vanished | End::NotStarted => {
            details.push(format!("the tests' last output:\n{}", tail(&report.output)));
            let console = ended
                .health
                .panic
                .clone()
                .unwrap_or_else(|| tail(&ended.health.console));
            details.push(format!("the console:\n{console}"));
        }
    }
    if end != End::Ok && !ended.complaints.is_empty() {
        details.push(format!("QEMU said:\n{}", ended.complaints.trim_end()));
    }
    details
}

/// The part of libtest's output about failures, or all of it if there is no such part.
fn failures(output: &str) -> String {
    match output.find("\nfailures:\n") {
        Some(start) => output[start..].trim().into(),
        None => output.trim().into(),
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{End, Verdict};
    use crate::vm::{
        guest::Ended,
        outcome::{console::health, report::Report},
    };

    const PANIC: &str = "[ 9.0] Kernel panic - not syncing: Fatal exception\n";
    const CUT: &str = "[ 9.0] ------------[ cut here ]------------\n";

    fn verdict(output: &str, console: &str, timed_out: bool) -> Verdict {
        let mut report = Report::new("t0k");
        for line in output.lines() {
            report.line(line, Duration::ZERO);
        }
        let took = Duration::from_secs(3);
        let ended = Ended {
            report,
            health: health(console),
            timed_out,
            took,
            complaints: String::new(),
        };
        Verdict::of("6.1", Ok(ended))
    }

    #[test]
    fn every_end_is_told_apart() {
        let ok = "test a ... ok\nt0k end 0";
        for (output, console, timed_out, end, cell) in [
            (ok, "", false, End::Ok, "ok"),
            (ok, CUT, false, End::Warned, "ok"),
            (
                "test a ... FAILED\nt0k end 101",
                "",
                false,
                End::Failed,
                "FAIL",
            ),
            ("test a ... ok\nt0k end 101", "", false, End::Failed, "ok"),
            (
                "t0k problem no veth\ntest a ... ok\nt0k end 0",
                "",
                false,
                End::Failed,
                "ok",
            ),
            ("test a ... t0k end 134", "", false, End::Failed, "FAIL"),
            ("test a ... ", PANIC, false, End::Panicked, "PANICKED"),
            ("test a ... ", "", true, End::TimedOut, "TIMED OUT"),
            ("test a ... ", "", false, End::Vanished, "VANISHED"),
            (
                "test a ... ignored\nt0k end 0",
                "",
                false,
                End::NoTest,
                "ignored",
            ),
            ("t0k end 0", "", false, End::NoTest, "-"),
        ] {
            let verdict = verdict(output, console, timed_out);
            assert_eq!((&verdict.end, verdict.cell("a")), (&end, cell), "{output}");
            assert_eq!(verdict.details().is_none(), end == End::Ok, "{output}");
        }
    }

    #[test]
    fn a_guest_that_never_started_says_why() {
        let verdict = Verdict::of("6.1", Err(anyhow::anyhow!("no such package")));
        assert_eq!(
            (&verdict.end, verdict.details().as_deref()),
            (&End::NotStarted, Some("no such package"))
        );
    }
}

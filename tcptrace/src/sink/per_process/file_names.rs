//! The names of the files in a folder.

use crate::view::parts::clean;

/// A comm is shorter, but a recording may have a longer one, and a file name has at most 255 bytes.
const LONGEST: usize = 64;
/// How many names are tried for a process.
const TRIES: u32 = 1000;

/// The name of the file for records without a process.
pub fn unknown(extension: &str) -> String {
    format!("unknown.{extension}")
}

/// The name of the file for processes that have none of their own.
pub fn others(extension: &str) -> String {
    format!("others.{extension}")
}

/// `4242-java.log`, or `4242-java.2.log` if there `is` a file of that name, because a process of the same
/// name has reused the number. A process of another PID namespace has none: `outside-java.log`. `None`: there
/// are too many of the same name.
pub fn of(
    pid: Option<u32>,
    comm: &str,
    extension: &str,
    is: impl Fn(&str) -> bool,
) -> Option<String> {
    let pid = pid.map_or_else(|| "outside".into(), |pid| pid.to_string());
    let stem = format!("{pid}-{}", sanitized(comm));
    let first = format!("{stem}.{extension}");
    let mut more = (2..TRIES).map(|number| format!("{stem}.{number}.{extension}"));
    match is(&first) {
        false => Some(first),
        true => more.find(|name| !is(name)),
    }
}

/// The comm as part of a file name: a single word for a shell and harmless on a terminal.
fn sanitized(comm: &str) -> String {
    let mut name = String::new();
    for c in comm.chars() {
        let leading_dot = c == '.' && name.is_empty();
        let escaped = c.is_control() || c.is_whitespace() || clean::is_hostile(c);
        let bad = leading_dot || escaped || matches!(c, '/' | '\\' | '\u{fffd}');
        let c = if bad { '_' } else { c };
        if name.len() + c.len_utf8() > LONGEST {
            break;
        }
        name.push(c);
    }
    if name.is_empty() { "_".into() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_processes() {
        let there = ["7-a.log", "4242-java.log", "4242-java.2.log"];
        let name = |pid, comm| of(pid, comm, "log", |name| there.contains(&name));
        assert_eq!(name(Some(4242), "java").as_deref(), Some("4242-java.3.log"));
        assert_eq!(name(Some(4242), "sh").as_deref(), Some("4242-sh.log"));
        assert_eq!(name(Some(7), "a").as_deref(), Some("7-a.2.log"));
        assert_eq!(name(None, "java").as_deref(), Some("outside-java.log"));
        assert_eq!(of(Some(1), "a", "log", |_| true), None);
    }

    #[test]
    fn a_comm_cannot_lead_elsewhere() {
        assert_eq!(sanitized("../../etc"), "_._.._etc");
        assert_eq!(sanitized("kworker/0:1"), "kworker_0:1");
        assert_eq!(sanitized("a\x1b\n\u{fffd} b"), "a____b");
        assert_eq!(sanitized(""), "_");
        assert_eq!(sanitized("日本"), "日本");
    }

    proptest! {
        #[test]
        fn every_name_is_one_plain_component(comm in "\\PC*|[\\x00-\\x{ff}]*") {
            let name = of(Some(1), &comm, "log", |_| false).expect("nothing is there");
            prop_assert!(name.len() <= 100, "{name}");
            prop_assert!(!name.contains('/') && !name.contains(char::is_control), "{name}");
            prop_assert!(name.starts_with("1-") && name.ends_with(".log"), "{name}");
        }
    }
}

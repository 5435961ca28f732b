//! The names of the files of processes in a folder.

use std::collections::HashSet;

use crate::view::parts::clean;

/// A comm is shorter, but a recording may have a longer one, and a file name has at most 255 bytes.
const LONGEST: usize = 64;

/// Gives each process a unique file name.
#[derive(Debug)]
pub struct FileNames {
    extension: &'static str,
    taken: HashSet<String>,
}

impl FileNames {
    /// All names have this extension; names in `taken` are not used.
    pub fn new(extension: &'static str, taken: impl Iterator<Item = String>) -> Self {
        let taken = taken.collect();
        Self { extension, taken }
    }

    /// The name of the file for records without a process.
    pub fn unknown(&self) -> String {
        format!("unknown.{}", self.extension)
    }

    /// `4242-java.log`, or `4242-java.2.log` if that name is taken because a process of the same
    /// name has reused the number.
    pub fn give(&mut self, pid: u32, comm: &str) -> String {
        let stem = format!("{pid}-{}", sanitized(comm));
        let mut name = format!("{stem}.{}", self.extension);
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{stem}.{number}.{}", self.extension);
            number += 1;
        }
        name
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

    fn names() -> FileNames {
        FileNames::new("log", ["7-a.log".to_owned()].into_iter())
    }

    #[test]
    fn names_are_those_of_processes() {
        let mut names = names();
        assert_eq!(names.give(4242, "java"), "4242-java.log");
        assert_eq!(names.give(4242, "java"), "4242-java.2.log");
        assert_eq!(names.give(4242, "java"), "4242-java.3.log");
        assert_eq!(names.give(4242, "sh"), "4242-sh.log");
        assert_eq!(names.give(7, "a"), "7-a.2.log");
        assert_eq!(names.unknown(), "unknown.log");
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
            let name = names().give(1, &comm);
            prop_assert!(name.len() <= 100, "{name}");
            prop_assert!(!name.contains('/') && !name.contains(char::is_control), "{name}");
            prop_assert!(name.starts_with("1-") && name.ends_with(".log"), "{name}");
        }
    }
}

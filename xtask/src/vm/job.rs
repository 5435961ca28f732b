//! What the host and a guest's init say to each other.

use serde::{Deserialize, Serialize};

/// Where in the guest the job lies.
pub const JOB: &str = "/job.json";
/// The folder with the kernel's modules, named so that their order is the order to load them in.
pub const MODULES: &str = "/modules";
/// The folder of programs.
pub const PROGRAMS: &str = "/bin";

/// What a guest has to do.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Starts every line of init's own, so that nothing a test prints can be taken for one.
    pub token: String,
    /// The serial port that the report goes to.
    pub port: String,
    /// The test program and its arguments.
    pub command: Vec<String>,
    /// The test program's environment.
    pub environment: Vec<(String, String)>,
}

/// A line of init's own; all others are the test program's.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// Init runs on the kernel with this release.
    Up(String),
    /// The guest is not as it should be: a module that does not load, a file system that cannot be mounted.
    Problem(String),
    /// The test program ended with this code; 128 and more for a signal, as a shell says it.
    End(i32),
}

impl Notice {
    /// The line, without its end.
    pub fn line(&self, token: &str) -> String {
        match self {
            Self::Up(release) => format!("{token} up {release}"),
            Self::Problem(text) => format!("{token} problem {}", text.replace(['\n', '\r'], " ")),
            Self::End(code) => format!("{token} end {code}"),
        }
    }

    /// Reads a line; `None` if it is not init's. What comes before the notice is there if a test left its last
    /// line without an end.
    pub fn parse<'a>(line: &'a str, token: &str) -> Option<(&'a str, Self)> {
        let (before, rest) = line.split_once(token)?;
        let (word, text) = rest.strip_prefix(' ')?.split_once(' ')?;
        let notice = match word {
            "up" => Self::Up(text.into()),
            "problem" => Self::Problem(text.into()),
            "end" => Self::End(text.parse().ok()?),
            _ => return None,
        };
        Some((before, notice))
    }
}

#[cfg(test)]
mod tests {
    use super::Notice;

    #[test]
    fn notices_are_read_as_they_were_written() {
        for notice in [
            Notice::Up("6.1.0-50".into()),
            Notice::Problem("no veth".into()),
            Notice::End(101),
        ] {
            assert_eq!(
                Notice::parse(&notice.line("t0k"), "t0k"),
                Some(("", notice))
            );
        }
    }

    #[test]
    fn a_notice_after_an_unfinished_line_is_found() {
        assert_eq!(
            Notice::parse("test a ... t0k end 134", "t0k"),
            Some(("test a ... ", Notice::End(134)))
        );
    }

    #[test]
    fn what_tests_print_is_no_notice() {
        for line in ["other end 0", "t0k end", "t0k end zero", "t0kend 0", ""] {
            assert_eq!(Notice::parse(line, "t0k"), None, "{line}");
        }
    }
}

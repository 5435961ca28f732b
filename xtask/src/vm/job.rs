//! What the host and a guest's init exchange.

use serde::{Deserialize, Serialize};

/// The path of the job in the guest.
pub const JOB: &str = "/job.json";
/// The folder with the kernel's modules. The order of their names is the order to load them in.
pub const MODULES: &str = "/modules";
/// The folder of programs.
pub const PROGRAMS: &str = "/bin";

/// What a guest must do.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The beginning of every line of init, so that no output of a test looks like one.
    pub token: String,
    /// The serial port that the report goes to.
    pub port: String,
    /// The test program and its arguments.
    pub command: Vec<String>,
    /// The test program's environment.
    pub environment: Vec<(String, String)>,
}

/// A line of init. All other lines are the test program's.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// Init runs on the kernel with this release.
    Up(String),
    /// The guest is not set up completely: a module does not load, or a file system cannot be mounted.
    Problem(String),
    /// The test program ended with this code. A signal is 128 and its number, as in a shell.
    End(i32),
}

impl Notice {
    /// The line, without a line break.
    pub fn line(&self, token: &str) -> String {
        match self {
            Self::Up(release) => format!("{token} up {release}"),
            Self::Problem(text) => format!("{token} problem {}", text.replace(['\n', '\r'], " ")),
            Self::End(code) => format!("{token} end {code}"),
        }
    }

    /// Reads a line. `None` if it is not init's. There is text before the notice if the last line of a test did not
    /// end with a line break.
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

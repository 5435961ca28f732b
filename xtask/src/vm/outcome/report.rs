//! Reads the report of a guest: init's notices, and the results that the test program prints.

use std::{collections::BTreeMap, time::Duration};

use crate::vm::job::Notice;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Ok,
    /// It failed.
    Failed,
    /// It did not run.
    Ignored,
    /// It began but did not end, because the guest ended.
    Cut,
}

/// What is known about a guest's tests. It takes the report line by line.
#[derive(Debug, Default)]
pub struct Report {
    token: String,
    /// The kernel's release, as soon as init runs.
    pub release: Option<String>,
    /// The problems that init reported.
    pub problems: Vec<String>,
    /// The tests that have begun.
    pub tests: BTreeMap<String, Outcome>,
    /// The number of tests, as soon as the test program has printed it.
    pub planned: Option<usize>,
    /// The number of further tests that do not run here, because they do not depend on the kernel.
    pub left_to_host: usize,
    /// Which tests were ignored or repeated, and why: one line each.
    pub notes: Vec<String>,
    /// How long each test took.
    pub took: BTreeMap<String, Duration>,
    /// The test program's exit code, as soon as it has ended.
    pub end: Option<i32>,
    /// What the test program printed.
    pub output: String,
    /// The test whose outcome is not known yet.
    running: Option<String>,
    /// When the last test ended, or when the first one began.
    last: Duration,
    /// Whether the names of failed tests follow.
    in_failures: bool,
}

impl Report {
    /// An empty report; `token` marks init's lines.
    pub fn new(token: &str) -> Self {
        Self {
            token: token.into(),
            ..Self::default()
        }
    }

    /// Takes a line that came at this time, or the beginning of an unfinished one.
    pub fn line(&mut self, line: &str, at: Duration) {
        let line = line.trim_end_matches(['\r', '\n']);
        let (text, notice) = match Notice::parse(line, &self.token) {
            Some((before, notice)) => (before, Some(notice)),
            None => (line, None),
        };
        if notice.is_none() || !text.is_empty() {
            self.output.push_str(text);
            self.output.push('\n');
            self.result(text, at);
        }
        match notice {
            Some(Notice::Up(release)) => self.release = Some(release),
            Some(Notice::Problem(problem)) => self.problems.push(problem),
            Some(Notice::End(code)) => self.end = Some(code),
            None => {}
        }
    }

    /// The format is libtest's. On one CPU it prints a test's name when the test begins and the outcome when the
    /// test ends, so lines that the test itself prints may come between.
    fn result(&mut self, line: &str, at: Duration) {
        if NOTES.iter().any(|note| line.starts_with(note)) {
            self.notes.push(line.into());
        } else if let Some(count) = between(line, "left to the host: ", " tests") {
            self.left_to_host = count;
        } else if let Some(count) = between(line, "running ", " tests") {
            (self.planned, self.last) = (Some(count), at);
        } else if let Some((name, rest)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        {
            let name = name.trim().to_owned();
            self.tests.insert(name.clone(), Outcome::Cut);
            self.running = Some(name);
            self.outcome(rest, at);
        } else if line == "failures:" {
            self.in_failures = true;
        } else if let (true, Some(name)) = (self.in_failures, line.strip_prefix("    ")) {
            // This list at the end is right even if the output of a test looked like an outcome.
            if let Some(outcome) = self.tests.get_mut(name) {
                *outcome = Outcome::Failed;
            }
        } else {
            self.outcome(line, at);
        }
    }

    fn outcome(&mut self, text: &str, at: Duration) {
        let outcome = match text.trim_end() {
            text if text.ends_with("FAILED") => Outcome::Failed,
            text if text.ends_with("ignored") => Outcome::Ignored,
            text if text.ends_with("ok") => Outcome::Ok,
            _ => return,
        };
        if let Some(name) = self.running.take() {
            // Tests run one after another.
            self.took.insert(name.clone(), at.saturating_sub(self.last));
            self.last = at;
            self.tests.insert(name, outcome);
        }
    }

    /// How many tests have run.
    pub fn ran(&self) -> usize {
        self.tests
            .values()
            .filter(|outcome| **outcome != Outcome::Ignored)
            .count()
    }
}

/// The beginnings of lines that the test program adds to libtest's.
const NOTES: [&str; 2] = ["ignored: ", REPEATED];
/// The beginning of a line about a repeated test.
pub const REPEATED: &str = "repeated: ";

fn between(line: &str, before: &str, after: &str) -> Option<usize> {
    line.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Outcome, Report};

    /// Reads a report with one line each second.
    fn report(text: &str) -> Report {
        let mut report = Report::new("t0k");
        for (second, line) in (0..).zip(text.split('\n')) {
            report.line(line, Duration::from_secs(second));
        }
        report
    }

    #[test]
    fn reads_a_whole_run() {
        let report = report(
            "t0k up 6.1.0-50\r\nt0k problem no veth\r\n\r\nrunning 3 tests\r\ntest a   ... ok\r\ntest b::c ... FAILED\r\n\
             test d ... ignored\r\n\r\nfailures:\r\n\r\n---- b::c ----\r\nno\r\n\r\nfailures:\r\n    b::c\r\n\r\n\
             test result: FAILED. 1 passed; 1 failed\r\nt0k end 101",
        );
        assert_eq!(report.release.as_deref(), Some("6.1.0-50"));
        assert_eq!(report.problems, ["no veth"]);
        assert_eq!(report.end, Some(101));
        let tests: Vec<_> = report
            .tests
            .iter()
            .map(|(name, outcome)| (name.as_str(), *outcome))
            .collect();
        assert_eq!(
            tests,
            [
                ("a", Outcome::Ok),
                ("b::c", Outcome::Failed),
                ("d", Outcome::Ignored)
            ]
        );
        assert_eq!(report.ran(), 2);
        assert_eq!(report.planned, Some(3));
        assert!(report.output.contains("---- b::c ----\nno\n"));
        assert!(!report.output.contains("t0k"));
    }

    #[test]
    fn a_tests_own_output_may_come_before_its_outcome() {
        let report = report(
            "test a ... hello\nworld\nok\ntest b ... noiseFAILED\ntest c ... all is ok\nFAILED\nfailures:\n    b\n    c\n",
        );
        let outcomes: Vec<_> = report.tests.values().copied().collect();
        assert_eq!(outcomes, [Outcome::Ok, Outcome::Failed, Outcome::Failed]);
    }

    #[test]
    fn counts_what_was_left_out_and_what_was_repeated() {
        let report = report(
            "left to the host: 41 tests\nrunning 1 tests\ntest a ... again: 1 missing\nignored\n\
             ignored: a: no cgroup\nrepeated: a, time 2: 1 missing",
        );
        assert_eq!((report.left_to_host, report.planned), (41, Some(1)));
        assert_eq!(report.tests["a"], Outcome::Ignored);
        assert_eq!(report.took["a"], Duration::from_secs(2));
        let notes = ["ignored: a: no cgroup", "repeated: a, time 2: 1 missing"];
        assert_eq!(report.notes, notes);
    }

    #[test]
    fn a_test_that_never_ended_is_cut() {
        let report = report("test a ... ok\ntest b ... ");
        assert_eq!(report.tests["b"], Outcome::Cut);
        assert_eq!(report.end, None);
        let report = self::report("test a ... t0k end 134");
        assert_eq!((report.tests["a"], report.end), (Outcome::Cut, Some(134)));
    }
}

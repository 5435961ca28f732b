//! Results of checks that are more than right or wrong.
//!
//! The kernel does not run a program on a CPU where the program is already running, and counts the skipped runs.
//! The tool cannot know what happens during that time. If something is missing then, the test proves nothing and is
//! repeated. This excuses one missing item for each skipped run, no more. It never excuses wrong output.

use std::{error::Error, fmt};

use anyhow::{Result, ensure};

/// The test cannot run here.
#[derive(Debug)]
pub struct Ignored(String);

impl Ignored {
    /// An error for a test to end with.
    pub fn because(why: impl fmt::Display) -> anyhow::Error {
        // With its causes, if it is an error.
        Self(format!("{why:#}")).into()
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Ignored {}

/// The output lacks this many things that a test made, or shows them as unknown. Everything else is right.
#[derive(Debug)]
pub struct Missing {
    count: u64,
    what: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} missing: {}", self.count, self.what)
    }
}

impl Error for Missing {}

/// An error if any are missing.
pub fn missing(count: u64, what: impl FnOnce() -> String) -> Result<()> {
    match count {
        0 => Ok(()),
        count => Err(Missing {
            count,
            what: what(),
        }
        .into()),
    }
}

/// Checks a count: fewer are [`missing`], more are wrong.
pub fn counted(found: u64, expected: u64, what: impl Fn() -> String) -> Result<()> {
    missing(expected.saturating_sub(found), &what)?;
    ensure!(found == expected, "{found}, not {expected}: {}", what());
    Ok(())
}

/// Something is missing, and the kernel says that it skipped at least as many runs.
#[derive(Debug)]
pub struct Skipped {
    runs: u64,
    missing: u64,
    what: String,
}

impl Skipped {
    /// The numbers, without the list of what is missing.
    pub fn short(&self) -> String {
        format!("{} missing, {} runs skipped", self.missing, self.runs)
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.short(), self.what)
    }
}

impl Error for Skipped {}

/// The meaning of a check's result if the kernel skipped this many runs of the checked program.
pub fn judge(runs: u64, checked: Result<()>) -> Result<()> {
    checked.map_err(|error| match error.downcast_ref::<Missing>() {
        Some(missing) if missing.count <= runs => Skipped {
            runs,
            missing: missing.count,
            what: format!("{error:#}"),
        }
        .into(),
        Some(_) => error.context(format!("{runs} runs skipped, too few to excuse it")),
        None => error,
    })
}

/// How many runs the kernel may drop without counting them, among this many transitions: about one in ten million on a
/// busy machine, see docs/limits.md. A test of many transitions is repeated for one of them, a smaller test is not.
pub fn uncounted(transitions: u64) -> u64 {
    u64::from(transitions >= 100_000)
}

/// Accepts that as many things are missing as runs were skipped. For a test that runs alone and makes the kernel skip
/// runs, so that to repeat it would not help.
pub fn allow(runs: u64, checked: Result<()>) -> Result<()> {
    match judge(runs, checked) {
        Err(error) if error.is::<Skipped>() => Ok(()),
        other => other,
    }
}

/// Joins several checks, so that all errors are shown together: they may have one cause.
#[derive(Debug, Default)]
pub struct Findings {
    missing: u64,
    wrong: bool,
    all: Vec<String>,
}

impl FromIterator<Result<()>> for Findings {
    fn from_iter<I: IntoIterator<Item = Result<()>>>(checks: I) -> Self {
        let mut findings = Self::default();
        checks
            .into_iter()
            .for_each(|checked| findings.take(checked));
        findings
    }
}

impl Findings {
    /// Adds the result of a check.
    pub fn take(&mut self, checked: Result<()>) {
        let Err(error) = checked else { return };
        match error.downcast_ref::<Missing>() {
            Some(missing) => self.missing += missing.count,
            None => self.wrong = true,
        }
        self.all.push(format!("{error:#}"));
    }

    /// The result of all checks.
    pub fn done(self) -> Result<()> {
        let all = self.all.join("\n");
        if self.wrong {
            anyhow::bail!(all);
        }
        missing(self.missing, || all)
    }
}

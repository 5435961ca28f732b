//! Results of checks that are more than right or wrong.
//!
//! The kernel does not run a program on a CPU where the program is already running, and counts the skipped runs.
//! The tool cannot know what happens during that time. If something is missing then, the test proves nothing and is
//! repeated. This excuses one missing item for each skipped run, no more. It never excuses wrong output.

use std::{error::Error, fmt};

use anyhow::Result;

/// The test cannot run here.
#[derive(Debug)]
pub struct Ignored(String);

impl Ignored {
    /// An error for a test to end with.
    pub fn because(why: impl fmt::Display) -> anyhow::Error {
        Self(why.to_string()).into()
    }

    /// The same for an error that prevents the test from running.
    pub fn because_of(error: anyhow::Error) -> anyhow::Error {
        Self(format!("{error:#}")).into()
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
        _ => error,
    })
}

/// Joins several checks, so that all errors are shown together: they may have one cause.
#[derive(Debug, Default)]
pub struct Findings {
    missing: u64,
    wrong: bool,
    all: Vec<String>,
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

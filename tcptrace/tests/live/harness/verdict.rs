//! What a check found, where that is more than right or wrong.
//!
//! The kernel does not run a program again on a CPU where it runs already, and counts that. What happens meanwhile the
//! tool cannot know, so a test in which something is missing proves nothing then: it is done again. That excuses what
//! is missing, one for each skipped run and no more. It never excuses what is told wrongly.

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

    /// The same, for an error that keeps the test from running.
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

/// So many things that a test made are not told, or as unknown. All that is told is true.
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
    /// Without what is missing.
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

/// What a check means where the kernel skipped so many runs of the program that is checked.
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

/// Several checks as one, so that all that is wrong is shown at once: it may have one cause.
#[derive(Debug, Default)]
pub struct Findings {
    missing: u64,
    wrong: bool,
    all: Vec<String>,
}

impl Findings {
    /// Takes what a check found.
    pub fn take(&mut self, checked: Result<()>) {
        let Err(error) = checked else { return };
        match error.downcast_ref::<Missing>() {
            Some(missing) => self.missing += missing.count,
            None => self.wrong = true,
        }
        self.all.push(format!("{error:#}"));
    }

    /// What all of them found together.
    pub fn done(self) -> Result<()> {
        let all = self.all.join("\n");
        if self.wrong {
            anyhow::bail!(all);
        }
        missing(self.missing, || all)
    }
}

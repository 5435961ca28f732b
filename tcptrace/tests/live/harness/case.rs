//! Tests as a list.

use std::{
    error::Error,
    fmt,
    sync::{PoisonError, RwLock},
};

use anyhow::Result;
use libtest_mimic::{Failed, Trial};

use crate::harness::place::Place;

/// What keeps the processors busy is alone: meanwhile the kernel skips other tests' programs, above all those on the
/// classic tracepoint, which then have nothing to compare.
static ALONE: RwLock<()> = RwLock::new(());

/// The tests.
pub struct Cases {
    ignored: bool,
    trials: Vec<Trial>,
}

impl Cases {
    /// None yet. `ignored`: only name them.
    pub fn new(ignored: bool) -> Self {
        Self {
            ignored,
            trials: Vec::new(),
        }
    }

    /// Adds a test.
    pub fn add(&mut self, name: &str, test: impl Fn() -> Result<()> + Send + 'static) {
        self.add_as(name, false, test);
    }

    /// Adds a test during which no other one runs, once for each of the places.
    pub fn add_alone_in(&mut self, places: &[Place], name: &str, test: fn(Place) -> Result<()>) {
        for place in places {
            let place = *place;
            self.add_as(&format!("{name}::{}", place.name()), true, move || {
                test(place)
            });
        }
    }

    fn add_as(&mut self, name: &str, alone: bool, test: impl Fn() -> Result<()> + Send + 'static) {
        let trial = Trial::test(name, move || {
            // A test that has panicked has failed already.
            let _alone = alone.then(|| ALONE.write().unwrap_or_else(PoisonError::into_inner));
            let _beside = (!alone).then(|| ALONE.read().unwrap_or_else(PoisonError::into_inner));
            again_when_skipped(test).map_err(|error| {
                // Without a backtrace: what is true and what was shown is what matters.
                let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
                Failed::from(chain.join("\nbecause "))
            })
        });
        let kind = if self.ignored { "needs root" } else { "" };
        self.trials
            .push(trial.with_kind(kind).with_ignored_flag(self.ignored));
    }

    /// Adds a test once for each of the places.
    pub fn add_in(&mut self, places: &[Place], name: &str, test: fn(Place) -> Result<()>) {
        for place in places {
            let place = *place;
            self.add(&format!("{name}::{}", place.name()), move || test(place));
        }
    }

    /// For the test runner.
    pub fn into_trials(self) -> Vec<Trial> {
        self.trials
    }
}

/// Does a test, and does it again when the kernel kept the tool from seeing all of it.
fn again_when_skipped(test: impl Fn() -> Result<()>) -> Result<()> {
    const TIMES: usize = 4;
    for _ in 1..TIMES {
        match test() {
            Err(error) if error.is::<Skipped>() => println!("again: {error}"),
            result => return result,
        }
    }
    test()
}

/// The kernel skipped runs of the program, and counted them: it does so when one is interrupted by a transition on the
/// same CPU. The test has to be done again.
#[derive(Debug)]
pub struct Skipped(pub u64);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel skipped {} runs", self.0)
    }
}

impl Error for Skipped {}

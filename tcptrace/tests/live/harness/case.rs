//! The list of tests.

use std::sync::{
    Mutex, PoisonError, RwLock,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Error, Result};
use libtest_mimic::{Completion, Failed, Trial};

use crate::harness::{
    place::Place,
    verdict::{Ignored, Skipped},
};

/// A test that runs alone holds this for writing. A test that keeps the processors busy must run alone: the kernel then
/// skips the programs of other tests, mostly those on the classic tracepoint, and these have nothing to compare.
static ALONE: RwLock<()> = RwLock::new(());

/// Which tests were ignored or repeated, one line each. Printed at the end of the run.
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How often a test is tried if the kernel skips runs of the program each time.
const TIMES: usize = 4;

/// How many failed tests of a run are tried once more, alone: a machine that has other work, too, stands still for a
/// moment now and then, an emulated one most. What is wrong fails again. Each of them is told with its failure. More than
/// this many in one run are no accident.
const SECOND_CHANCES: usize = 3;

static CHANCES_TAKEN: AtomicUsize = AtomicUsize::new(0);

type Test = Box<dyn Fn() -> Result<()> + Send>;

/// The tests.
#[derive(Default)]
pub struct Cases(Vec<Case>);

struct Case {
    name: String,
    alone: bool,
    here: bool,
    test: Test,
}

/// The tests that were just added, to set their options.
pub struct Added<'a>(&'a mut [Case]);

impl Added<'_> {
    /// They do not depend on the kernel: they run on this machine, not on the kernels of the matrix.
    pub fn here(self) {
        self.0.iter_mut().for_each(|case| case.here = true);
    }

    /// The same for one place only.
    pub fn here_in(self, place: Place) {
        let ending = format!("::{}", place.name());
        let of_place = |case: &&mut Case| case.name.ends_with(&ending);
        self.0
            .iter_mut()
            .filter(of_place)
            .for_each(|case| case.here = true);
    }

    /// No other test runs at the same time.
    pub fn alone(self) -> Self {
        self.0.iter_mut().for_each(|case| case.alone = true);
        self
    }
}

impl Cases {
    /// Adds a test.
    pub fn add(&mut self, name: &str, test: impl Fn() -> Result<()> + Send + 'static) -> Added<'_> {
        self.0.push(Case {
            name: name.into(),
            alone: false,
            here: false,
            test: Box::new(test),
        });
        self.added(1)
    }

    /// Adds a test once for each of the places.
    pub fn add_in(
        &mut self,
        places: &[Place],
        name: &str,
        test: fn(Place) -> Result<()>,
    ) -> Added<'_> {
        for place in places {
            let place = *place;
            self.add(&format!("{name}::{}", place.name()), move || test(place));
        }
        self.added(places.len())
    }

    fn added(&mut self, count: usize) -> Added<'_> {
        let from = self.0.len() - count;
        Added(&mut self.0[from..])
    }

    /// Leaves out the tests that do not depend on the kernel, and returns their number.
    pub fn leave_out_here(&mut self) -> usize {
        let all = self.0.len();
        self.0.retain(|case| !case.here);
        all - self.0.len()
    }

    /// The tests for the test runner. `ignored`: it ignores all of them, because they cannot run here.
    pub fn into_trials(self, ignored: bool) -> Vec<Trial> {
        let trial = |case: Case| {
            Trial::ignorable_test(case.name.clone(), move || case.run()).with_ignored_flag(ignored)
        };
        self.0.into_iter().map(trial).collect()
    }
}

impl Case {
    fn run(&self) -> Result<Completion, Failed> {
        let mut done = self.once(self.alone);
        for time in 2..=TIMES {
            let error = done.as_ref().err();
            let Some(skipped) = error.and_then(|error| error.downcast_ref::<Skipped>()) else {
                break;
            };
            println!("again: {skipped}");
            note(format!(
                "repeated: {}, time {time}: {}",
                self.name,
                skipped.short()
            ));
            // Alone, so that the sockets of another test cannot make the kernel skip runs.
            done = self.once(true);
        }
        if let Some(error) = done.as_ref().err()
            && !error.is::<Skipped>()
            && !error.is::<Ignored>()
            && has_second_chance()
        {
            println!("again: {error:#}");
            let first: String = format!("{error:#}").chars().take(300).collect();
            note(format!(
                "repeated: {}, it failed once: {}",
                self.name,
                first.replace('\n', " ")
            ));
            done = self.once(true);
        }
        match done {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast_ref::<Ignored>() {
                Some(ignored) => {
                    note(format!("ignored: {}: {ignored}", self.name));
                    Ok(Completion::ignored())
                }
                None => Err(failed(&error)),
            },
        }
    }

    fn once(&self, alone: bool) -> Result<()> {
        // A panic poisons the lock. The test that panicked has failed already.
        let _alone = alone.then(|| ALONE.write().unwrap_or_else(PoisonError::into_inner));
        let _beside = (!alone).then(|| ALONE.read().unwrap_or_else(PoisonError::into_inner));
        (self.test)()
    }
}

fn has_second_chance() -> bool {
    CHANCES_TAKEN.fetch_add(1, Ordering::Relaxed) < SECOND_CHANCES
}

/// Without a backtrace: the truth and the output are enough.
fn failed(error: &Error) -> Failed {
    let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
    Failed::from(chain.join("\nbecause "))
}

fn note(line: String) {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    notes.push(line);
}

/// Which tests were ignored or repeated, and why, one line each.
pub fn notes() -> Vec<String> {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    notes.clone()
}

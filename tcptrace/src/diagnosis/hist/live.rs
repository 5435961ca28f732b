//! Durations of a live session: those that the kernel counted, those that were reported one by one,
//! and those of open sockets.

use crate::model::{
    filter::Filter,
    hist::durations::{Durations, Selection},
    track::Count,
    transition::{Record, StillOpen},
};

/// Durations that were reported one by one, because they began before the start.
#[derive(Debug)]
pub struct LiveDurations {
    told: Durations,
    /// The filter.
    filter: Filter,
    /// Durations that did not fit into the buffer.
    pub lost: u64,
    /// Runs that the kernel skipped.
    pub skipped: u64,
}

impl LiveDurations {
    /// None yet.
    #[must_use]
    pub fn new(selection: Selection, filter: Filter) -> Self {
        Self {
            told: Durations::new(selection),
            filter,
            lost: 0,
            skipped: 0,
        }
    }

    /// Adds a reported record.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::Transition(seen) if self.filter.passes_record(record, &[]) => {
                self.told.transition(seen);
            }
            Record::Loss(loss) => {
                self.lost += loss.transitions;
                self.skipped += loss.runs;
            }
            _ => {}
        }
    }

    /// All durations: reported ones, those that the kernel counted, and those of open sockets.
    pub fn all(&self) -> Sum<'_> {
        Sum {
            all: self.told.clone(),
            filter: &self.filter,
        }
    }
}

/// Durations that are being added up.
#[derive(Debug)]
pub struct Sum<'a> {
    all: Durations,
    filter: &'a Filter,
}

impl Sum<'_> {
    /// Adds durations that the kernel counted.
    pub fn count(&mut self, count: &Count) {
        let Count {
            state,
            ending,
            key,
            number,
            decade,
        } = count;
        self.all
            .counted((*state, *ending), key.as_ref(), *number, decade);
    }

    /// Adds the sockets that are open, and returns everything.
    #[must_use]
    pub fn with_open(mut self, open: &[StillOpen]) -> Durations {
        for open in open.iter().filter(|open| self.filter.passes(&open.socket)) {
            self.all.open(&open.socket, open.monotonic_ns);
        }
        self.all
    }
}

//! Plain data and pure rules: what is stuck, since when, and whose it is. No clock and no I/O: time
//! comes in with the observations.

pub mod departed;
pub mod durations;
pub mod filter;
pub mod finding;
#[cfg(test)]
pub mod fixtures;
pub mod group;
pub mod histogram;
pub mod join;
pub mod journal;
#[cfg(test)]
mod journal_tests;
pub mod key;
pub mod look;
pub mod recorded;
pub mod recorded_durations;
pub mod report;
pub mod role;
pub mod session;
pub mod since;
pub mod snapshot;
pub mod socket;
pub mod tally;
pub mod tracker;
pub mod transition;

//! From the records of a log to the state at its end.

pub mod departed;
pub mod durations;
pub mod journal;
#[cfg(test)]
mod journal_tests;
mod kept;
pub mod origin;
pub mod recorded;
pub mod snapshot;
mod socket_key;
pub mod wanted;

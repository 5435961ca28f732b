//! From the records of a log to what was so when it ended.

pub mod departed;
pub mod durations;
pub mod journal;
#[cfg(test)]
mod journal_tests;
pub mod origin;
pub mod recorded;
pub mod snapshot;
mod socket_key;
pub mod wanted;

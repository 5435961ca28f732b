//! From observed transitions to the lines of a log.

pub mod open;
pub mod residue;
pub mod transitions;
#[cfg(test)]
mod transitions_tests;
#[cfg(test)]
mod users_tests;

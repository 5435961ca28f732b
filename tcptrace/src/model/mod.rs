//! Plain data and pure rules: what is stuck, since when, and whose it is. No clock and no I/O: time
//! comes in with the observations.

pub mod filter;
pub mod finding;
#[cfg(test)]
pub mod fixtures;
pub mod group;
pub mod join;
pub mod look;
pub mod role;
pub mod session;
pub mod since;
pub mod snapshot;
pub mod socket;
pub mod tracker;

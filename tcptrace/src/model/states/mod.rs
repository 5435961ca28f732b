//! How many sockets are in each state.

pub mod counts;
pub mod member;
pub mod remotes;
pub mod report;

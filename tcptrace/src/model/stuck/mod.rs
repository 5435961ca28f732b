//! What `stuck` sees and shows.

pub mod group;
pub mod look;
pub mod session;
pub mod snapshot;

//! The data of `stuck`.

pub mod flow;
pub mod group;
pub mod look;
pub mod residue;
pub mod session;
pub mod snapshot;
pub mod spread;

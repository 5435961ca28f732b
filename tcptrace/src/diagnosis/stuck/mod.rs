//! From looks to sockets: which are in the watched state, since when, whose, and which side of the
//! connection they are.

pub mod before;
pub mod group;
pub mod join;
pub mod role;
pub mod since;
pub mod snapshot;
pub mod tracker;

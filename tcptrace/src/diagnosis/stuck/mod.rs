//! From looks to sockets: which ones are in the watched state, since when, their owners and their
//! roles.

pub mod before;
pub mod flow;
pub mod group;
pub mod join;
pub mod listener;
pub mod order;
pub mod residue;
pub mod role;
pub mod since;
pub mod snapshot;
pub mod tracker;

//! Which process has which socket open: the ways to walk over descriptors.

pub mod iterator;
pub mod method;
pub mod proc;

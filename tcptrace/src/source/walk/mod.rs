//! The walk over descriptors: which sockets there are in all network namespaces, and which processes
//! hold them.

pub mod census;
pub mod convert;
#[cfg(test)]
mod convert_tests;
pub mod count;
pub mod hidden;
pub mod level;
pub mod messages;
pub mod object;
pub mod places;
pub mod proc;
pub mod queue;
pub mod run;
pub mod survey;
pub mod walker;

pub use walker::Walker;

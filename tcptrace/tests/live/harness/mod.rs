//! What every test stands on: the list of tests, what a check may find, the circumstances that the tool is run in, what
//! this kernel cannot do, how far what is told may lie from the truth.

pub mod case;
pub mod cgroup;
pub mod kernel;
pub mod place;
pub mod scratch;
pub mod tolerance;
pub mod verdict;

//! What all tests use: the list of tests, the results of checks, the environments that the tool runs in, what this
//! kernel cannot do, and how much the output may differ from the truth.

pub mod case;
pub mod cgroup;
pub mod child;
pub mod container;
pub mod kernel;
pub mod place;
pub mod scratch;
pub mod time_namespace;
pub mod tolerance;
pub mod user;
pub mod verdict;

//! How guests ended: what the kernel's console says, what init and the tests report, and what both together mean.

pub mod console;
pub mod report;
pub mod verdict;

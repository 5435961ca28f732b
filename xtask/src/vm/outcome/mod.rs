//! The results of guests: the kernel's console, the reports of init and the tests, and what both mean together.

pub mod console;
pub mod report;
pub mod verdict;

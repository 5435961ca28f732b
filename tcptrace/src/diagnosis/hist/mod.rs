//! From durations, counted in the kernel or told one by one, to what is shown of them.

pub mod live;
pub mod report;

//! From durations, counted in the kernel or reported one by one, to reports.

pub mod live;
pub mod report;

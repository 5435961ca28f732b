//! The tool as it is run: `stuck`, `log` and `hist`, and what each of them writes.

pub mod hist;
pub mod log;
pub mod report;
pub mod tool;

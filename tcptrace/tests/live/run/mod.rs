//! The tool as it is run: `stuck`, `log` and `hist`, and what each of them writes.

pub mod hist;
pub mod line;
pub mod log;
pub mod snapshot;
pub mod tool;

//! Runs the tool: `stuck`, `log` and `hist`, and types for their output.

pub mod hist;
pub mod line;
pub mod log;
pub mod snapshot;
pub mod states;
pub mod summary;
pub mod terminal;
pub mod tool;

//! Pure rules that turn facts into what is shown: nothing here opens a file or reads a clock.

pub mod cause;
pub mod hist;
pub mod log;
pub mod recording;
pub mod states;
pub mod stuck;

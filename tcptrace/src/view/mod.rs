//! Views: each turns what was found into one kind of output. A new output is a new file here.

pub mod doctor;
pub mod hist;
pub mod log;
pub mod parts;
pub mod stuck;

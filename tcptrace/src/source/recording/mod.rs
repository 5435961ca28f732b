//! A recording: a file with the same facts as a live session.

mod frames;
mod header;
pub mod line;
#[cfg(test)]
mod line_tests;
pub mod reader;
#[cfg(test)]
mod reader_tests;
mod values;

//! A recording: a file of the same facts.

mod header;
pub mod line;
#[cfg(test)]
mod line_tests;
pub mod reader;
#[cfg(test)]
mod reader_tests;
mod values;

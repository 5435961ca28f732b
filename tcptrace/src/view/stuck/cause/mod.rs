//! Why sockets are stuck, in words: not yet fit for a terminal, unless it says so.

pub mod block;
#[cfg(test)]
mod block_tests;
mod durations;
pub mod evidence;
pub mod line;
pub mod remedy;
#[cfg(test)]
mod words_tests;
pub mod would_tell;

//! From single sockets to numbers by state.

pub mod tally;

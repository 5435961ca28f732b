//! Plain data, shared by all modules. No clock and no I/O: times are part of the observations.

pub mod cause;
pub mod caveat;
pub mod command;
pub mod container;
pub mod filter;
pub mod finding;
pub mod hist;
pub mod log_line;
pub mod names;
pub mod open_groups;
pub mod owner;
pub mod recording;
pub mod request;
pub mod sandbox;
pub mod socket;
pub mod states;
pub mod stuck;
pub mod tally;
pub mod track;
pub mod transition;

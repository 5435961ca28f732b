//! What `/proc`, control groups and sock_diag tell about processes that have stuck sockets, beside the look itself:
//! facts for `diagnosis`, which decides what they mean.

mod connections;
mod descriptors;
mod file;
mod flags;
mod keepalive;
mod pass;
mod places;
mod reader;
mod sets;
mod tables;
mod throttled;
mod waits;

pub use self::reader::ClueReader;

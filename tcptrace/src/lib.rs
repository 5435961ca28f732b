//! Finds TCP sockets that are stuck in a state, above all in `CLOSE_WAIT`: which, how long, whose
//! and towards whom.
//!
//! Data flows one way: [`source`] → [`model`] → [`view`]; [`command`] joins them.

pub mod cli;
pub mod command;
pub mod model;
pub mod parse;
pub mod source;
pub mod view;

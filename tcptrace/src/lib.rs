//! Finds TCP sockets that are stuck in a state, above all in `CLOSE_WAIT`: which, how long, whose
//! and towards whom.
//!
//! Data runs one way: [`source`] → [`diagnosis`] → [`view`] → [`sink`], in the words of [`model`];
//! [`command`] joins them for each subcommand of [`cli`].

pub mod cli;
pub mod command;
pub mod diagnosis;
#[cfg(test)]
mod fixtures;
pub mod model;
pub mod sink;
pub mod source;
pub mod view;

//! Finds TCP sockets that are stuck in a state, above all in `CLOSE_WAIT`, and shows their age,
//! process and remote address.
//!
//! Data flows one way: [`source`] → [`diagnosis`] → [`view`] → [`sink`], in the types of [`model`];
//! [`command`] connects them for each subcommand of [`cli`].

pub mod cli;
pub mod command;
pub mod diagnosis;
#[cfg(test)]
mod fixtures;
pub mod model;
pub mod sink;
pub mod source;
pub mod view;

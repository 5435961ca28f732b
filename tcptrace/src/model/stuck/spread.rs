//! What the sockets of a group have in common, and how they differ.

use std::net::IpAddr;

use serde::Serialize;

use crate::model::socket::{Endpoint, shown_form};

/// What the ends of a group's sockets have in common. A v4-mapped address is the IPv4 address that it
/// stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ends {
    /// Connections to one remote.
    To(Endpoint),
    /// Connections to one port of this machine, whose peers each have their own port.
    At {
        /// The port.
        port: u16,
        /// The address, if it is the same for all.
        address: Option<IpAddr>,
        /// The peers' address, if it is the same for all.
        from: Option<IpAddr>,
    },
}

impl Ends {
    /// What tells groups of one process apart: the remote, or the port.
    ///
    /// # Errors
    /// The port, of connections that have no remote in common.
    pub fn place(self) -> Result<Endpoint, u16> {
        match self {
            Self::To(remote) => Ok(remote),
            Self::At { port, .. } => Err(port),
        }
    }

    /// Whether a socket with these ends is one of them.
    #[must_use]
    pub fn are_of(self, local: Endpoint, remote: Endpoint) -> bool {
        match self {
            Self::To(to) => {
                (shown_form(remote.address), remote.port) == (shown_form(to.address), to.port)
            }
            Self::At { port, .. } => local.port == port,
        }
    }
}

/// How many sockets have so many unread bytes. In `CLOSE_WAIT` the FIN counts as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecvQueues {
    /// None.
    pub zero: usize,
    /// One.
    pub one: usize,
    /// More.
    pub more: usize,
    /// Unknown.
    pub unknown: usize,
}

/// How many sockets have keepalive on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Keepalive {
    /// These.
    pub on: usize,
    /// These have it off.
    pub off: usize,
    /// Of these it is not known.
    pub unknown: usize,
}

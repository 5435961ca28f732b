//! Sockets that are dead in the network and still open in a process.

use std::sync::Arc;

use crate::model::{
    names::{UNKNOWN, names},
    owner::Holder,
    socket::{Endpoint, Family},
};

/// What ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiedBy {
    /// A reset by the peer, or by a host on the way.
    Reset,
    /// Nothing came from the peer any more: keepalive, retransmissions, `TCP_USER_TIMEOUT`.
    Timeout,
    /// Somebody destroyed the socket, as `ss -K` does.
    Destroyed,
    /// Both ends closed it in order; the process shut it down and kept the descriptor.
    Closed,
    /// The process has read the error, or it is another one.
    Unknown,
}

names!(DiedBy {
    Reset => "reset",
    Timeout => "timeout",
    Destroyed => "destroyed",
    Closed => "closed",
    Unknown => UNKNOWN,
});

/// A connection that is dead in the network and still open in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residue {
    /// Every process that holds it.
    pub holders: Vec<Holder>,
    /// Its family.
    pub family: Family,
    /// This end, as it was.
    pub local: Endpoint,
    /// The other end, as it was.
    pub remote: Endpoint,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// As in `socket:[…]`.
    pub inode: u32,
    /// When it died, in ns of `CLOCK_MONOTONIC`: right within 10 ms, unless the process has read
    /// left-over data afterwards. `None` if unknown.
    pub died_ns: Option<u64>,
    /// What ended it.
    pub died_by: DiedBy,
    /// Whether it was in `CLOSE_WAIT` when it died; `None` if unknown.
    pub was_close_wait: Option<bool>,
    /// Paths of the control groups that it belongs to: of the one that created it, and of its holders.
    pub cgroups: Vec<Arc<str>>,
    /// Whether it never was a connection: a connect that failed.
    pub never_connected: bool,
}

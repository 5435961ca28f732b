//! Stuck sockets grouped by process and remote, or by process and listener.

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;

use crate::model::socket::{Endpoint, Role, Since};

/// Sockets of one process towards one remote, or of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The process: a holder of the sockets, or of the listener if no process has accepted them; if
    /// neither is known, the process that opened them.
    pub owner: Option<ProcessName>,
    /// The processes that may be meant, if there are several: then there is no owner.
    pub candidates: Vec<ProcessName>,
    /// If there is no process: whether this is known for certain.
    pub owner_known: bool,
    /// Which side of the connections they are.
    pub role: Role,
    /// What their ends have in common.
    pub ends: Ends,
    /// Inode number of their network namespace.
    pub netns: Option<u32>,
    /// How many sockets.
    pub sockets: usize,
    /// How many of them are surely stuck; the others may be.
    pub stuck: usize,
    /// How many of them no process has accepted.
    pub unaccepted: usize,
    /// How many of them their process has closed.
    pub closed: usize,
    /// When the oldest entered the state.
    pub oldest: Since,
    /// The most that the age of that one can be, in ns; `None` if nothing tells.
    pub oldest_at_most_ns: Option<u64>,
    /// Half of the sockets are at least this old, in ns.
    pub median_ns: u64,
    /// The most that the age of the one in the middle can be; likewise.
    pub median_at_most_ns: Option<u64>,
    /// The sum of their unread bytes; `None` if unknown for all of them.
    pub recv_queue: Option<u64>,
    /// How these bytes are spread.
    pub recv_queues: RecvQueues,
    /// On how many keepalive is on.
    pub keepalive: Keepalive,
    /// The control group that they belong to, if it is the same for all.
    pub cgroup: Option<Arc<str>>,
}

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

/// A process that sockets are counted under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessName {
    /// Its id.
    pub pid: u32,
    /// Its name, not yet fit for a terminal.
    pub comm: String,
}

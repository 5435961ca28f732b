//! Stuck sockets grouped by process and remote.

use std::{net::IpAddr, sync::Arc};

use crate::model::socket::Since;

/// Sockets of one process towards one remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The process: a holder of the sockets, or of the listener if no process has accepted them; if
    /// neither is known, the process that opened them.
    pub owner: Option<ProcessName>,
    /// The processes that may be meant, if there are several: then there is no owner.
    pub candidates: Vec<ProcessName>,
    /// If there is no process: whether this is known for certain.
    pub owner_known: bool,
    /// The other end's address.
    pub remote: IpAddr,
    /// The other end's port; `None` for a server's sockets, whose peers each have their own.
    pub port: Option<u16>,
    /// How many sockets.
    pub sockets: usize,
    /// How many of them no process has accepted.
    pub unaccepted: usize,
    /// When the oldest entered the state.
    pub oldest: Since,
    /// Half of the sockets are at least this old, in ns.
    pub median_ns: u64,
    /// Whether that one is exact.
    pub median_exact: bool,
    /// The sum of their unread bytes; `None` if unknown for all of them.
    pub recv_queue: Option<u64>,
    /// The container or unit that they belong to, if it is the same for all.
    pub cgroup: Option<Arc<str>>,
}

/// A process that sockets are counted under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessName {
    /// Its id.
    pub pid: u32,
    /// Its name, not yet fit for a terminal.
    pub comm: String,
}

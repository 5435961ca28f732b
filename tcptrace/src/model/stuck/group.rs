//! Stuck sockets grouped by process and remote.

use std::{net::IpAddr, sync::Arc};

use crate::model::socket::Since;

/// Sockets of one process towards one remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The process: a holder of the sockets, or of the listener where nobody has accepted them;
    /// where neither is known, the one that opened them.
    pub owner: Option<ProcessName>,
    /// Whether it is known that there is none, when there is none.
    pub owner_known: bool,
    /// The other end's address.
    pub remote: IpAddr,
    /// The other end's port; `None` for connections to a server, each of which has its own.
    pub port: Option<u16>,
    /// How many sockets.
    pub sockets: usize,
    /// How many of them nobody has accepted.
    pub unaccepted: usize,
    /// Since when the oldest is in the state.
    pub oldest: Since,
    /// Half of the sockets are at least this old, in ns.
    pub median_ns: u64,
    /// Whether that one is exact.
    pub median_exact: bool,
    /// Unread bytes of all of them; `None` where no one's are known.
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

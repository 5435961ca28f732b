//! Stuck sockets grouped by process and remote, or by process and listener.

use std::sync::Arc;

pub use crate::model::stuck::spread::{Ends, Keepalive, RecvQueues};
use crate::model::{
    cause::{Diagnosis, FollowsFrom},
    socket::{Role, Since},
};

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
    /// The control group of the process, or if that is not known the one that created the sockets, if it is
    /// the same for all.
    pub cgroup: Option<Arc<str>>,
    /// How many came and went in the session; `None` at a single look.
    pub passage: Option<Passage>,
    /// Why they are stuck; `None` before that was asked, and in states other than `CLOSE_WAIT`.
    pub diagnosis: Option<Box<Diagnosis>>,
}

impl Group {
    /// Whether it is the group that another one follows from.
    #[must_use]
    pub fn is(&self, other: &FollowsFrom) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| owner.pid == other.pid) && self.ends == other.ends
    }
}

/// Listed sockets of a group that came and went since the first look of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passage {
    /// How many entered the state.
    pub entered: usize,
    /// How many left it.
    pub left: usize,
}

/// A process that sockets are counted under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessName {
    /// Its id.
    pub pid: u32,
    /// Its name, not yet fit for a terminal.
    pub comm: String,
}

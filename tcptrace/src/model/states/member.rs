//! What is counted.

use std::sync::Arc;

use tcptrace_common::TcpState;

use crate::model::socket::{Endpoint, Family, Role};

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A socket in a state.
    Socket(TcpState),
    /// Not a socket any more, or not yet.
    NoSocket(NoSocket),
}

/// What is no socket, but in the kernel's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoSocket {
    /// What is left of a connection in `TIME_WAIT`.
    TimeWait,
    /// What is left of a connection in `FIN_WAIT2` that its process has closed.
    FinWait2Remainder,
    /// A request for a connection (`SYN_RECV`), whose handshake is not complete.
    HalfOpen,
}

crate::model::names::names!(NoSocket {
    TimeWait => "time_wait",
    FinWait2Remainder => "fin_wait2_remainder",
    HalfOpen => "half_open",
});

/// A process by number and name.
pub type NamedProcess = (u32, Arc<str>);

/// Something that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: Kind,
    /// How many of it: more than one only where nothing else is known about them.
    pub count: u64,
    /// Whether it is closed in the network and still open in a process, after it was connected.
    pub residue: bool,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Its family, where it is known.
    pub family: Option<Family>,
    /// This end, where it is known.
    pub local: Option<Endpoint>,
    /// The other end, where it is known.
    pub remote: Option<Endpoint>,
    /// Which side of the connection it is.
    pub role: Role,
    /// The processes that have it open, or the listener at which it waits; the longest-running first.
    pub holders: Holders,
    /// Path of its control group, from where paths begin: only if it was asked for.
    pub cgroup: Option<Arc<str>>,
    /// Paths of the control groups of its holders, if they are others and were asked for.
    pub other_cgroups: Vec<Arc<str>>,
    /// Of a listener: connections that wait to be accepted.
    pub queued: u64,
}

/// Processes: most often one, which needs no memory of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// The first.
    pub first: Option<NamedProcess>,
    /// The others.
    pub others: Vec<NamedProcess>,
    /// Whether only one of them is meant, and it is not known which.
    pub are_candidates: bool,
    /// Whether some process has it open, and it is not known which.
    pub are_unknown: bool,
}

impl Holders {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &NamedProcess> + Clone {
        self.first.iter().chain(&self.others)
    }

    /// The process that it counts for; `None` if there is none, or several may be meant.
    #[must_use]
    pub fn owner(&self) -> Option<&NamedProcess> {
        self.first.as_ref().filter(|_| !self.are_candidates)
    }
}

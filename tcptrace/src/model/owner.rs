//! The owner of a socket: the process that opened it, has it open, or listens where it waits.

use std::sync::Arc;

use crate::model::names::names;

/// How the owner of a socket is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KnownBy {
    /// It connected.
    Connect,
    /// It accepted.
    Accept,
    /// It listens on this very socket.
    Listen,
    /// It listens where this socket came in, and no process has accepted the socket yet.
    Listener,
    /// It had a descriptor of the socket.
    Fd,
}

names!(KnownBy {
    Connect => "connect",
    Accept => "accept",
    Listen => "listen",
    Listener => "listener",
    Fd => "fd",
});

/// A process. The kernel may reuse its number after it ends; the start time distinguishes such
/// processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// The thread group, as the initial PID namespace numbers it.
    pub pid: u32,
    /// The thread that opened the socket, if one did.
    pub tid: Option<u32>,
    /// Its name (that of the main thread) at that time: not yet fit for a terminal.
    pub comm: Arc<str>,
    /// When it started, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: Option<u64>,
}

/// The owner of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub process: Process,
    /// How that is known.
    pub known_by: KnownBy,
    /// Path of its control group at that time, from the cgroup root.
    pub cgroup: Option<Arc<str>>,
}

impl Owner {
    /// Pid and name.
    #[must_use]
    pub fn named(&self) -> (u32, &str) {
        (self.process.pid, &self.process.comm)
    }
}

/// One file descriptor that refers to the socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The descriptor's number in it.
    pub fd: u32,
    /// The process's name as the kernel has it: not yet fit for a terminal.
    pub comm: String,
}

/// The listener at which a socket waits to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The processes that have it open, the oldest first, because forked workers share a listener.
    /// `None` if descriptors could not be read.
    pub holders: Option<Vec<Holder>>,
    /// The process that listens, according to a log.
    pub opener: Option<Owner>,
    /// Connections that wait to be accepted.
    pub queued: Option<u32>,
    /// How many may wait.
    pub backlog: Option<u32>,
}

impl Listener {
    /// A listener that is only known from a log.
    #[must_use]
    pub fn logged(opener: Owner) -> Self {
        Self {
            holders: None,
            opener: Some(opener),
            queued: None,
            backlog: None,
        }
    }

    /// Pid and name of the first process that has it open, otherwise of the one that listens.
    #[must_use]
    pub fn process(&self) -> Option<(u32, &str)> {
        let held = self.holders.as_deref().and_then(first_named);
        held.or_else(|| self.opener.as_ref().map(Owner::named))
    }
}

/// Pid and name of the first of them.
#[must_use]
pub fn first_named(holders: &[Holder]) -> Option<(u32, &str)> {
    holders.first().map(|first| (first.pid, &first.comm[..]))
}

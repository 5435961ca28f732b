//! Whose a socket is: who opened it, who has it open, who listens where it waits.

use std::sync::Arc;

use crate::model::names::names;

/// How it is known whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KnownBy {
    /// It connected.
    Connect,
    /// It accepted.
    Accept,
    /// It listens on this very socket.
    Listen,
    /// It listens where this socket came in, and nobody has accepted it yet.
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

/// A process. Its number may be given to another one once it is gone; the time at which it began
/// tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// The thread group, as the initial PID namespace numbers it.
    pub pid: u32,
    /// The thread that did it, where one did.
    pub tid: Option<u32>,
    /// Its name (that of the main thread) at that time: not yet fit for a terminal.
    pub comm: Arc<str>,
    /// When it began, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: Option<u64>,
}

/// Whose a socket is.
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

/// The listener that a socket waits at to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Who has it open; the oldest process first, as forked workers share one. `None` where nobody
    /// could be asked.
    pub holders: Option<Vec<Holder>>,
    /// Who listens, by what a log says.
    pub opener: Option<Owner>,
    /// Connections that wait to be accepted.
    pub queued: Option<u32>,
    /// How many may wait.
    pub backlog: Option<u32>,
}

impl Listener {
    /// A listener of which no more is known than a log says.
    #[must_use]
    pub fn logged(opener: Owner) -> Self {
        Self {
            holders: None,
            opener: Some(opener),
            queued: None,
            backlog: None,
        }
    }

    /// Pid and name of the first process that has it open, or else of the one that listens.
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

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
    /// It made a system call on the socket, which another process had opened.
    Call,
}

names!(KnownBy {
    Connect => "connect",
    Accept => "accept",
    Listen => "listen",
    Listener => "listener",
    Fd => "fd",
    Call => "call",
});

/// A process. The kernel may reuse its number after it ends; the start time distinguishes such
/// processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// The thread group, as the PID namespace that tcptrace runs in numbers it; `None` if it is outside.
    pub pid: Option<u32>,
    /// The thread that opened the socket, if one did.
    pub tid: Option<u32>,
    /// Its name (that of the main thread) at that time: not yet fit for a terminal.
    pub comm: Arc<str>,
    /// When it started, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: Option<u64>,
}

impl Process {
    /// A process of which only a look at open descriptors tells: no thread and no start.
    #[must_use]
    pub fn named((pid, comm): (u32, &str)) -> Self {
        Self {
            pid: Some(pid),
            tid: None,
            comm: comm.into(),
            started_ns: None,
        }
    }
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
    /// Pid and name; `None` if it has no number here.
    #[must_use]
    pub fn named(&self) -> Option<(u32, &str)> {
        Some((self.process.pid?, &self.process.comm))
    }
}

/// Processes of which one is meant, with their numbers where these count.
pub type Candidates = Vec<(Option<u32>, Arc<str>)>;

/// Each of them once; instead their name, if they share it and numbers do not count.
#[must_use]
pub fn one_of(candidates: impl Iterator<Item = (Option<u32>, Arc<str>)>) -> OneOf {
    let mut all: Candidates = candidates.collect();
    all.sort_unstable();
    all.dedup();
    match &all[..] {
        [(None, comm)] => OneOf::Named(Arc::clone(comm)),
        _ => OneOf::Candidates(all),
    }
}

/// What is known of one of several processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOf {
    /// The name that all of them have.
    Named(Arc<str>),
    /// Which ones they are; none if there are none.
    Candidates(Candidates),
}

/// How a process holds a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// By a file descriptor.
    Descriptor,
    /// By the files that it registered with `io_uring`.
    IoUring,
    /// By a mapping of the socket's memory.
    Mapping,
    /// A message with a descriptor of it waits in one of the process's Unix sockets.
    InFlight,
}

names!(Via {
    Descriptor => "descriptor",
    IoUring => "io_uring",
    Mapping => "mapping",
    InFlight => "in_flight",
});

/// A process that holds the socket, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The thread, if it has a table of descriptors of its own.
    pub tid: Option<u32>,
    /// The descriptor's number.
    pub fd: Option<u32>,
    /// How it holds the socket.
    pub via: Via,
    /// The process's name as the kernel has it: not yet fit for a terminal.
    pub comm: Arc<str>,
}

/// The listener at which a socket waits to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The processes that have it open, the oldest first, because forked workers share a listener.
    /// If several listeners may be meant, the holders of all of them. `None` if descriptors could
    /// not be read.
    pub holders: Option<Vec<Holder>>,
    /// The process that listens, according to a log.
    pub opener: Option<Owner>,
    /// Connections that wait to be accepted; `None` also if several listeners may be meant.
    pub queued: Option<u32>,
    /// How many may wait; likewise.
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

    /// Pid and name of the process that has it open, if it is only one; where no process is known to
    /// have it open, of the one that listens.
    #[must_use]
    pub fn process(&self) -> Option<(u32, &str)> {
        match self.holders.as_deref() {
            None | Some([]) => self.opener.as_ref().and_then(Owner::named),
            Some(holders) => only_process(holders),
        }
    }

    /// The processes that may be meant, if there are several: each can accept from the queue.
    #[must_use]
    pub fn candidates(&self) -> Vec<(u32, &str)> {
        let mut all: Vec<(u32, &str)> = Vec::new();
        for holder in self.holders.iter().flatten() {
            if all.iter().all(|(pid, _)| *pid != holder.pid) {
                all.push((holder.pid, &holder.comm));
            }
        }
        if all.len() > 1 { all } else { Vec::new() }
    }
}

/// Pid and name of the process that all of them are, if it is only one.
#[must_use]
pub fn only_process(holders: &[Holder]) -> Option<(u32, &str)> {
    let (pid, comm) = first_named(holders)?;
    (holders.iter())
        .all(|holder| holder.pid == pid)
        .then_some((pid, comm))
}

/// Pid and name of the first of them.
#[must_use]
pub fn first_named(holders: &[Holder]) -> Option<(u32, &str)> {
    holders.first().map(|first| (first.pid, &first.comm[..]))
}

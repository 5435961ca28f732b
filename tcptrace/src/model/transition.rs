//! What a log consists of: transitions, and what a session says beside them.

use std::{sync::Arc, time::SystemTime};

use tcptrace_common::TcpState;

use crate::model::{
    names::names,
    socket::{Endpoint, Family, Holder, Precision, Role, Since},
};

/// How long a socket was in the state that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// In ns; its entering was seen.
    Exact(u64),
    /// So many ns or more: it entered before anybody watched.
    AtLeast(u64),
    /// Nothing tells.
    Unknown,
}

impl Spent {
    /// In ns, and what that means; `None` where nothing tells.
    #[must_use]
    pub fn known(self) -> Option<(u64, Precision)> {
        match self {
            Self::Exact(ns) => Some((ns, Precision::Exact)),
            Self::AtLeast(ns) => Some((ns, Precision::AtLeast)),
            Self::Unknown => None,
        }
    }
}

/// The protocol that the transition was reported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Mptcp,
}

names!(Protocol {
    Tcp => "tcp",
    Mptcp => "mptcp",
});

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

/// Which socket it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// TCP, or the MPTCP connection as a whole.
    pub protocol: Protocol,
    /// Its family.
    pub family: Family,
    /// This end; port 0 where it has none yet.
    pub local: Endpoint,
    /// The other end; a listener has an unspecified one.
    pub remote: Endpoint,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
    /// The cookie, which no other socket has had since boot.
    pub cookie: Option<u64>,
    /// Which side of the connection it is.
    pub role: Role,
}

/// A socket went from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Wall-clock time.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// The state that it left.
    pub from: TcpState,
    /// The state that it entered.
    pub to: TcpState,
    /// How long it was in the state that it left.
    pub duration: Spent,
    /// Which socket.
    pub socket: Identity,
    /// Whose it is, if that is known.
    pub owner: Option<Owner>,
    /// Who brought the transition about, where a process did by a call of its own.
    pub caller: Option<Process>,
}

/// A socket that was in a state when the log ended: a leak has no last transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillOpen {
    /// Wall-clock time of the end.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// The state that it is in.
    pub state: TcpState,
    /// Since when.
    pub since: Since,
    /// Which socket.
    pub socket: Identity,
    /// Whose it is, if that is known.
    pub owner: Option<Owner>,
    /// Every descriptor that refers to it; `None` where nobody could be asked.
    pub holders: Option<Vec<Holder>>,
}

impl StillOpen {
    /// How long it has been in the state, in ns.
    #[must_use]
    pub fn age_ns(&self) -> u64 {
        self.monotonic_ns.saturating_sub(self.since.moment_ns())
    }
}

/// What was lost since the last time that something was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Wall-clock time at which it was noticed.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// Transitions that found the ring buffer full: they are missing in the log.
    pub transitions: u64,
    /// Sockets that found the kernel's table full: their owners and durations are unknown.
    pub sockets: u64,
    /// Runs of the programs that the kernel skipped; what they would have said is missing.
    pub runs: u64,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A transition.
    Transition(Transition),
    /// A socket that stayed.
    StillOpen(StillOpen),
    /// Something is missing.
    Loss(Loss),
}

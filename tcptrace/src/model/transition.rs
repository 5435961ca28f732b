//! What a log consists of: transitions, and what a session says beside them.

use std::time::SystemTime;

use tcptrace_common::TcpState;

use crate::model::{
    owner::{Owner, Process},
    socket::{Identity, Precision, Socket},
};

/// How long a socket was in the state that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateDuration {
    /// In ns; its entering was seen.
    Exact(u64),
    /// So many ns or more: it entered before anybody watched.
    AtLeast(u64),
    /// Nothing tells.
    Unknown,
}

impl StateDuration {
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
    pub duration: StateDuration,
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
    /// The socket with its state.
    pub socket: Socket,
}

impl StillOpen {
    /// How long it has been in the state, in ns.
    #[must_use]
    pub fn age_ns(&self) -> u64 {
        self.socket.age_ns(self.monotonic_ns)
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

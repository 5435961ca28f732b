//! The contents of a log: transitions and other records of a session.

use std::time::SystemTime;

use tcptrace_common::{Ending, TcpState};

use crate::model::{
    owner::{Owner, Process},
    socket::{Identity, Precision, Socket},
};

/// How long a socket was in the state that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateDuration {
    /// In ns; its entering was seen.
    Exact(u64),
    /// A lower bound in ns: it entered before tracing began.
    AtLeast(u64),
    /// Unknown.
    Unknown,
}

impl StateDuration {
    /// In ns, and what that means; `None` if unknown.
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
    /// How its stay in the state that it left ended.
    pub ending: Ending,
    /// How long it was in the state that it left.
    pub duration: StateDuration,
    /// Which socket.
    pub socket: Identity,
    /// The process that opened it, or that listens where it came in, if known.
    pub opener: Option<Owner>,
    /// The process that has taken it over, if one has.
    pub user: Option<Owner>,
    /// The process whose system call caused the transition, if one did.
    pub caller: Option<Process>,
}

impl Transition {
    /// The process that uses the socket, as far as it is known.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.user.as_ref().or(self.opener.as_ref())
    }
}

/// A socket that was in a state when the log ended: a leak has no last transition. Or a socket that was
/// reset and that its process still had open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillOpen {
    /// Wall-clock time of the end.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// The socket with its state.
    pub socket: Socket,
    /// Of residue (in `CLOSE`): the state out of which it was reset. `None` for all others.
    pub residue_of: Option<TcpState>,
}

impl StillOpen {
    /// How long it has been in the state, in ns.
    #[must_use]
    pub fn age_ns(&self) -> u64 {
        self.socket.age_ns(self.monotonic_ns)
    }
}

/// What was lost since the previous loss was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Wall-clock time at which it was noticed.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// Transitions that did not fit into the ring buffer: they are missing in the log.
    pub transitions: u64,
    /// Sockets that did not fit into the kernel's table: their owners and durations are unknown.
    pub sockets: u64,
    /// Runs of the programs that the kernel skipped; their records are missing.
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

//! What is stuck at one moment.

use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    filter::Filter,
    request::Filters,
    socket::{Endpoint, Socket},
    stuck::{
        flow::Flow,
        group::Group,
        look::{Exit, Looked, ProcessInfo, Tracing},
        residue::Residue,
    },
};

/// What counts as stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The state.
    pub state: TcpState,
    /// How long a socket must have been in it, in ns.
    pub older_than_ns: u64,
    /// The filter.
    pub filter: Filter,
    /// The same as it was given.
    pub filters: Filters,
}

/// Sockets that are surely younger than the threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Younger {
    /// How many.
    pub count: usize,
    /// The most that the age of the oldest can be, in ns.
    pub oldest_at_most_ns: u64,
}

/// Sockets that are only counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unkept {
    /// How many are stuck.
    pub stuck: usize,
    /// How many may be.
    pub may_be: usize,
}

impl Unkept {
    /// How many.
    #[must_use]
    pub fn count(self) -> usize {
        self.stuck + self.may_be
    }
}

/// A listener, and who has it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortListener {
    /// Its namespace.
    pub netns: u32,
    /// Where it listens.
    pub local: Endpoint,
    /// Connections that wait to be accepted.
    pub queued: u32,
    /// How many may wait.
    pub backlog: u32,
    /// The processes that have it open; `None` if that is not known.
    pub pids: Option<Vec<u32>>,
}

/// The stuck sockets at one moment, with related information.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Wall-clock time; `None` for a recording without any time.
    pub time: Option<SystemTime>,
    /// The same moment of `CLOCK_MONOTONIC`, in ns; 0 without a time.
    pub monotonic_ns: u64,
    /// What counts as stuck.
    pub watched: Watched,
    /// Those that are stuck, the oldest first, and then those that may be.
    pub sockets: Vec<Socket>,
    /// How many of them are stuck.
    pub stuck: usize,
    /// Those for which there was no room: they are in no group.
    pub unkept: Unkept,
    /// The largest first; those of residue alone, which have no socket in the state, come last.
    pub groups: Vec<Group>,
    /// The sockets that are in the state, but surely not for long enough.
    pub younger: Younger,
    /// Where those of them go that this end connected: the namespace and the remote.
    pub younger_remotes: HashSet<(Option<u32>, Endpoint)>,
    /// The largest group of them, where nothing is listed.
    pub youngest: Option<Group>,
    /// How many sockets are stuck or may be and do not pass the filter.
    pub left_out: usize,
    /// How many sockets that pass the filter came and went since the start.
    pub flow: Flow,
    /// The moment of the session's first look, in ns of `CLOCK_MONOTONIC`; `None` at a single look.
    pub began_ns: Option<u64>,
    /// What was looked at; `None` for a recording.
    pub looked: Option<Looked>,
    /// Remainders among both ([`Details::remainder`](crate::model::socket::Details::remainder)).
    pub remainders: usize,
    /// Sockets that are dead in the network and still open in a process; `None` if they were not
    /// looked for.
    pub residue: Option<Vec<Residue>>,
    /// Those of them that were in the watched state when they died, as if they still were in it.
    pub dead: Vec<Socket>,
    /// Connects that failed, whose sockets are still open in a process; likewise.
    pub failed_connects: Option<Vec<Residue>>,
    /// The listeners on ports of the sockets; `None` if listeners were not looked for.
    pub listeners: Option<Vec<PortListener>>,
    /// Sockets that left the state since the last look, as far as they are known.
    pub exits: Vec<Exit>,
    /// By pid.
    pub processes: HashMap<u32, ProcessInfo>,
    /// Names of network namespaces by inode number.
    pub netns_names: HashMap<u32, String>,
    /// The kernel side's counters.
    pub tracing: Tracing,
    /// What could not be seen, and what makes it less than certain.
    pub caveats: Vec<Caveat>,
}

impl Snapshot {
    /// How many sockets are stuck.
    #[must_use]
    pub fn stuck(&self) -> usize {
        self.stuck + self.unkept.stuck
    }

    /// How many sockets may be stuck: the bounds on their age lie on both sides of the threshold.
    #[must_use]
    pub fn may_be(&self) -> usize {
        self.sockets.len() - self.stuck + self.unkept.may_be
    }

    /// How many sockets entered the state and left it in the session, and whether more may have, between two looks.
    #[must_use]
    pub fn came_and_went(&self) -> (u64, u64, bool) {
        let (flow, tracing) = (self.flow, &self.tracing);
        if tracing.filtered {
            let entered = tracing.entered + tracing.lost;
            (entered, tracing.left + flow.left_unseen, false)
        } else {
            (flow.entered, flow.left, true)
        }
    }

    /// How many sockets are either.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.stuck() + self.may_be()
    }
}

//! What is stuck at one moment.

use std::{collections::HashMap, time::SystemTime};

use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    filter::Filter,
    socket::Socket,
    stuck::{
        group::Group,
        look::{ProcessInfo, Tracing},
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
    /// The oldest first.
    pub sockets: Vec<Socket>,
    /// The largest first.
    pub groups: Vec<Group>,
    /// How many sockets are in the state, but not for long enough.
    pub younger: usize,
    /// Remainders among both ([`Details::remainder`](crate::model::socket::Details::remainder)).
    pub remainders: usize,
    /// Sockets that are dead in the network and still open in a process; `None` if they were not
    /// looked for.
    pub residue: Option<Vec<Residue>>,
    /// Connects that failed, whose sockets are still open in a process; likewise.
    pub failed_connects: Option<Vec<Residue>>,
    /// By pid.
    pub processes: HashMap<u32, ProcessInfo>,
    /// Names of network namespaces by inode number.
    pub netns_names: HashMap<u32, String>,
    /// The kernel side's counters.
    pub tracing: Tracing,
    /// What could not be seen, and what makes it less than certain.
    pub caveats: Vec<Caveat>,
}

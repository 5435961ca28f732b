//! What is stuck at one moment.

use std::{collections::HashMap, time::SystemTime};

use tcptrace_common::TcpState;

use super::{
    filter::Filter,
    group::{Group, group},
    look::{Look, ProcessInfo, Tracing},
    socket::Socket,
    tracker::Tracker,
};

/// What counts as stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The state.
    pub state: TcpState,
    /// How long a socket must have been in it, in ns.
    pub older_than_ns: u64,
    /// Which sockets are meant.
    pub filter: Filter,
}

/// The stuck sockets at one moment, and what goes with them.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Wall-clock time.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// What counts as stuck.
    pub watched: Watched,
    /// The oldest first.
    pub sockets: Vec<Socket>,
    /// The largest first.
    pub groups: Vec<Group>,
    /// How many sockets are in the state, but not long enough.
    pub younger: usize,
    /// By pid.
    pub processes: HashMap<u32, ProcessInfo>,
    /// Names of network namespaces by inode number.
    pub netns_names: HashMap<u32, String>,
    /// The kernel side's counters.
    pub tracing: Tracing,
    /// What to warn of.
    pub notes: Vec<String>,
}

impl Snapshot {
    /// The snapshot that a look gives.
    #[must_use]
    pub fn new(look: Look, tracker: &mut Tracker, watched: &Watched) -> Self {
        let now_ns = look.monotonic_ns;
        let all = tracker.sockets(&look).into_iter();
        let wanted = all.filter(|socket| watched.filter.passes(socket));
        let (mut sockets, younger): (Vec<_>, Vec<_>) =
            wanted.partition(|socket| socket.age_ns(now_ns) >= watched.older_than_ns);
        sockets.sort_by_key(|socket| (socket.since.moment_ns(), socket.cookie));
        Self {
            time: look.time,
            monotonic_ns: now_ns,
            watched: watched.clone(),
            groups: group(&sockets, now_ns),
            sockets,
            younger: look.younger + younger.len(),
            processes: look.processes,
            netns_names: look.netns_names,
            tracing: look.tracing,
            notes: look.notes,
        }
    }
}

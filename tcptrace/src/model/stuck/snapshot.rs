//! What is stuck at one moment.

use std::{collections::HashMap, time::SystemTime};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::{recording::recorded::Recorded, stuck::tracker::Tracker},
    model::{
        filter::Filter,
        socket::Socket,
        stuck::{
            group::{Group, group},
            look::{Look, ProcessInfo, Tracing},
        },
    },
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
    /// Wall-clock time; `None` for a recording in which nothing tells the time.
    pub time: Option<SystemTime>,
    /// The same moment of `CLOCK_MONOTONIC`, in ns; 0 without a time.
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
        let (sockets, younger) = by_age(wanted, now_ns, watched);
        Self {
            time: Some(look.time),
            monotonic_ns: now_ns,
            watched: watched.clone(),
            groups: group(&sockets, now_ns),
            sockets,
            younger: look.younger + younger,
            processes: look.processes,
            netns_names: look.netns_names,
            tracing: look.tracing,
            notes: look.notes,
        }
    }

    /// What was stuck when a recording ended. `notes` are about the recording as a whole.
    #[must_use]
    pub fn recorded(recorded: Recorded, watched: &Watched, mut notes: Vec<String>) -> Self {
        let wanted = |socket: &Socket| watched.filter.passes(socket);
        let doubtful = recorded.doubtful.iter().filter(|s| wanted(s)).count();
        let now_ns = recorded.end.map_or(0, |(now_ns, _)| now_ns);
        let all = recorded.sockets.into_iter().filter(wanted);
        let (sockets, younger) = by_age(all, now_ns, watched);
        let any = !sockets.is_empty() || younger > 0;
        notes.extend(recorded.facts.notes(watched.state, any));
        if doubtful > 0 {
            let name = watched.state.name();
            notes.push(match doubtful {
                1 => format!("1 more socket was in {name}, but may have left it unseen"),
                more => format!("{more} more sockets were in {name}, but may have left it unseen"),
            });
        }
        Self {
            time: recorded.end.map(|(_, time)| time),
            monotonic_ns: now_ns,
            watched: watched.clone(),
            groups: group(&sockets, now_ns),
            sockets,
            younger,
            processes: HashMap::new(),
            netns_names: HashMap::new(),
            tracing: recorded.facts.tracing(),
            notes,
        }
    }
}

/// Those that have been in the state for long enough, the oldest first, and how many have not.
fn by_age(
    sockets: impl Iterator<Item = Socket>,
    now_ns: u64,
    watched: &Watched,
) -> (Vec<Socket>, usize) {
    let (mut old, younger): (Vec<_>, Vec<_>) =
        sockets.partition(|socket| socket.age_ns(now_ns) >= watched.older_than_ns);
    old.sort_by_key(|socket| (socket.since.moment_ns(), socket.cookie));
    (old, younger.len())
}

//! What the kernel side of `log` and `hist` reports about transitions, before any rule is applied.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use tcptrace_common::{Decade, Ending, TcpState};

use crate::model::{
    hist::key::Key,
    owner::{Owner, Process},
    socket::{Identity, Since},
    stuck::look::{Coverage, Descriptors, Entered, Listed, Listening, Waiting},
};

/// A transition as the kernel side saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTransition {
    /// Wall-clock time.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// The state that the socket left.
    pub from: TcpState,
    /// The state that it entered.
    pub to: TcpState,
    /// How its stay in the state that it left ended.
    pub ending: Ending,
    /// When it entered the state that it left, if that was seen or the socket was found in it.
    pub since: Option<Since>,
    /// Which socket; its role is not determined yet.
    pub socket: Identity,
    /// Whether it came from a listener, as far as its backlog shows.
    pub from_listener: bool,
    /// The process that opened it, or that listens where it came in, if the kernel side knows it.
    pub opener: Option<Owner>,
    /// The process that has taken it over, if one has.
    pub user: Option<Owner>,
    /// Whether no process had a descriptor of it.
    pub unaccepted: bool,
    /// The process whose system call caused the transition, if one did.
    pub caller: Option<Process>,
}

/// What existed before the first transition was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BeforeStart {
    /// Every socket.
    pub listed: Vec<Listed>,
    /// Those in `LISTEN`.
    pub listening: Vec<Listening>,
    /// The connections in their accept queues, as far as these could be read.
    pub waiting: Vec<Waiting>,
    /// The holders of listeners; `None` if descriptors were not read.
    pub descriptors: Option<Descriptors>,
}

/// A socket as the kernel side keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// Which socket, and since when it is in its state.
    pub entered: Entered,
    /// The state that it is in.
    pub state: TcpState,
    /// Whether it was found in that state, not seen to enter it.
    pub was_before: bool,
    /// The state out of which it was reset, if a process has had it open ever since.
    pub residue_of: Option<TcpState>,
    /// The process that opened it, or that listens where it came in, if known.
    pub opener: Option<Owner>,
    /// The process that has taken it over, if one has.
    pub user: Option<Owner>,
    /// Whether the filter wants the sockets of one of them.
    pub is_wanted: bool,
}

/// The sockets that are open at a moment, from two sources: the kernel side's table and
/// `sock_diag`.
#[derive(Debug, Clone)]
pub struct OpenSockets {
    /// Wall-clock time of the moment.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// The requested states.
    pub states: Vec<TcpState>,
    /// The table's entries in one of these states.
    pub table: Vec<TableEntry>,
    /// The table's entries that were reset while a process had them open, and that no process has
    /// closed since.
    pub residue: Vec<TableEntry>,
    /// The listed sockets in one of these states.
    pub listed: Vec<Listed>,
    /// Listeners in the same namespaces.
    pub listening: Vec<Listening>,
    /// The connections in their accept queues, as far as these could be read.
    pub waiting: Vec<Waiting>,
    /// Which namespaces were listed.
    pub coverage: Coverage,
    /// The holders of the listed sockets; `None` if descriptors were not read.
    pub descriptors: Option<Descriptors>,
    /// The processes that have or had sockets, by number, as the kernel side knows them.
    pub known: HashMap<u32, Process>,
    /// The processes whose sockets are wanted; `None` for all.
    pub followed: Option<HashSet<u32>>,
    /// When a socket or a run was lost last, in ns of `CLOCK_MONOTONIC`; 0 for never.
    pub lost_ns: u64,
}

/// Control groups of sockets that are open, and of their holders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenCgroups {
    /// Paths by the id that a socket has.
    pub by_id: HashMap<u64, String>,
    /// Paths by process.
    pub by_pid: HashMap<u32, Arc<str>>,
}

/// Durations that the kernel counted: one decade of a histogram on one CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The state that was left.
    pub state: TcpState,
    /// How.
    pub ending: Ending,
    /// The key; `None` for durations without a key, and those whose key found no room.
    pub key: Option<Key>,
    /// Which decade.
    pub number: u8,
    /// The number of durations of each length.
    pub decade: Decade,
}

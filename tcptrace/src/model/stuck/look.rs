//! What a source finds at one look.

use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    names::names,
    owner::Holder,
    socket::{Details, Endpoint, Family},
};

/// A socket that the kernel side saw enter the watched state and has not seen leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// `None` if the kernel gives tracing programs no cookies.
    pub cookie: Option<u64>,
    /// `None` without type information.
    pub netns: Option<u32>,
    /// The interface that it is bound to, 0 for none; `None` if unknown.
    pub interface: Option<u32>,
    /// Whether it came from a listener; `None` if unknown.
    pub from_listener: Option<bool>,
    /// Its family.
    pub family: Family,
    /// This end; port 0 if it had none yet.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
}

/// A socket that `sock_diag` lists in the watched state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The namespace that was asked.
    pub netns: u32,
    /// Its cookie.
    pub cookie: u64,
    /// The interface that it is bound to, or 0.
    pub interface: u32,
    /// Its family.
    pub family: Family,
    /// This end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// The state that it was in.
    pub state: TcpState,
    /// A moment no earlier than the kernel's answer, in ns of `CLOCK_MONOTONIC`.
    pub listed_ns: u64,
    /// The latest moment at which the peer's last acknowledgment can have arrived, likewise; `None`
    /// if the kernel does not report it.
    pub last_ack_ns: Option<u64>,
    /// The other details.
    pub details: Details,
}

/// A socket in `LISTEN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The namespace that was asked.
    pub netns: u32,
    /// Where it listens; an unspecified address stands for all.
    pub local: Endpoint,
    /// Whether an IPv6 wildcard excludes IPv4; `None` if unknown.
    pub v6_only: Option<bool>,
    /// As in `socket:[…]`.
    pub inode: u32,
    /// Connections that wait to be accepted.
    pub queued: u32,
    /// How many may wait.
    pub backlog: u32,
}

/// A descriptor of a socket: its holder, and what it revealed about the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The socket's inode.
    pub inode: u64,
    /// Who has it.
    pub holder: Holder,
    /// The backlog of the socket, or of the listener that it came from; `None` if the way of
    /// finding holders does not report it.
    pub backlog: Option<u32>,
}

/// Descriptors, indexed by the socket's inode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Descriptors(Vec<Descriptor>);

impl Descriptors {
    /// All of them without duplicates: the walk may find a descriptor twice, through a thread or in
    /// another pass.
    #[must_use]
    pub fn new(mut descriptors: Vec<Descriptor>) -> Self {
        descriptors.sort_by(|a, b| (a.inode, &a.holder).cmp(&(b.inode, &b.holder)));
        descriptors.dedup();
        Self(descriptors)
    }

    /// Those of the socket with this inode, by pid and number; none for inode 0, which no
    /// descriptor has.
    #[must_use]
    pub fn of(&self, inode: u32) -> &[Descriptor] {
        // Binary search, so that a thousand sockets do not each scan all descriptors.
        let inode = u64::from(inode);
        let start = self
            .0
            .partition_point(|descriptor| descriptor.inode < inode);
        let rest = &self.0[start..];
        let count = rest.partition_point(|descriptor| descriptor.inode == inode);
        if inode == 0 { &[] } else { &rest[..count] }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Descriptor] {
        &self.0
    }
}

/// A process that holds a socket or listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The letter of `/proc/PID/stat`: R, S, D, T, Z, …
    pub state: char,
    /// Clock ticks after boot at which it started.
    pub started: u64,
    /// Path of its cgroup (v2), from the cgroup root.
    pub cgroup: Option<String>,
}

/// What the kernel side counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tracing {
    /// The attached hook; `None` for a recording, which does not say.
    pub hook: Option<Hook>,
    /// Sockets that entered the watched state.
    pub entered: u64,
    /// Of those, the ones that left it.
    pub left: u64,
    /// Sockets that entered but did not fit into the map.
    pub lost: u64,
    /// Runs of the program that the kernel skipped; `None` if it does not count them.
    pub recursion_misses: Option<u64>,
}

/// Where the kernel side is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `tp_btf`: typed arguments.
    Btf,
    /// The classic tracepoint.
    Tracepoint,
}

names!(Hook {
    Btf => "btf",
    Tracepoint => "tracepoint",
});

/// Everything that a source finds at one look.
#[derive(Debug, Clone)]
pub struct Look {
    /// Wall-clock time.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// The sockets in the kernel side's map that were queried.
    pub entered: Vec<Entered>,
    /// How many more sockets it has that are too young to be queried.
    pub younger: usize,
    /// What `sock_diag` listed.
    pub listed: Vec<Listed>,
    /// Which namespaces `sock_diag` was asked about.
    pub coverage: Coverage,
    /// Listeners in the namespaces of stuck sockets.
    pub listening: Vec<Listening>,
    /// `None` if descriptors were not read.
    pub held: Option<Descriptors>,
    /// By pid.
    pub processes: HashMap<u32, ProcessInfo>,
    /// Paths of control groups by id.
    pub cgroups: HashMap<u64, String>,
    /// Names of network namespaces by inode number.
    pub netns_names: HashMap<u32, String>,
    /// The counters.
    pub tracing: Tracing,
    /// What could not be seen, and what makes it less than certain.
    pub caveats: Vec<Caveat>,
}

/// Which namespaces `sock_diag` was asked about, to distinguish "not listed" from "not asked".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Namespaces that were dumped completely.
    pub dumped: HashSet<u32>,
    /// Namespaces that were asked about single sockets.
    pub queried: HashSet<u32>,
}

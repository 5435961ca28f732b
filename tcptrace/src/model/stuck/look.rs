//! What a source finds at one look.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use serde::Serialize;
use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    names::names,
    owner::Holder,
    socket::{AtEntry, Details, Endpoint, Family, Protocol},
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
    /// What the kernel knew about it then; `None` if that could not be read.
    pub at_entry: Option<AtEntry>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its family.
    pub family: Family,
    /// This end; port 0 if it had none yet.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
}

/// When something happened, in ns of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not before; `None` if nothing tells.
    pub earliest_ns: Option<u64>,
    /// Not after.
    pub latest_ns: u64,
}

/// The kernel keeps the times of a connection in 32 bits, and tells them in ms in 32 bits: after 49.7
/// days, at 1000 ticks a second, they begin again.
pub const CLOCK_WRAPS_NS: u64 = (1 << 32) * 1_000_000;

/// What this end has sent: shows which side of the connection it is, see `diagnosis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Sequence numbers that the peer has acknowledged.
    pub acked: u64,
    /// Sequence numbers that were sent and not acknowledged.
    pub in_flight: u32,
    /// Sequence numbers that were not sent yet.
    pub unsent: u32,
    /// Bytes of data sent, those sent again included.
    pub bytes: u64,
    /// Bytes of data sent again.
    pub again: u64,
}

/// A socket in the watched state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its namespace.
    pub netns: u32,
    /// Its cookie; `None` if nothing has asked the kernel for it yet.
    pub cookie: Option<u64>,
    /// The interface that it is bound to, or 0.
    pub interface: u32,
    /// Its protocol.
    pub protocol: Protocol,
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
    /// The earliest moment at which the peer's last data can have arrived, or the connection have been
    /// made if none has, likewise. After [`CLOCK_WRAPS_NS`] the kernel may mean a later round of its clock.
    pub data_not_before_ns: Option<u64>,
    /// The same of the last data that this end sent.
    pub sent_not_before_ns: Option<u64>,
    /// When the first SYN was sent, if none has been answered yet.
    pub first_syn: Option<Span>,
    /// The backlog of the listener that it came from, 0 if it came from none or from one with a
    /// backlog of 0; `None` if unknown.
    pub backlog: Option<u32>,
    /// What it has sent; `None` if unknown, and for MPTCP.
    pub sent: Option<Sent>,
    /// Whether the peer connected, where the kernel says so itself (of MPTCP).
    pub server_side: Option<bool>,
    /// The other details.
    pub details: Details,
}

/// A socket in `LISTEN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Its namespace.
    pub netns: u32,
    /// The interface that it is bound to, or 0.
    pub interface: u32,
    /// Whether it takes connections to addresses and ports that are not its own (`IP_TRANSPARENT`);
    /// `None` if unknown.
    pub transparent: Option<bool>,
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

/// A connection in a listener's accept queue, as the kernel has it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// The listener's inode.
    pub listener: u32,
    /// The connection's namespace.
    pub netns: u32,
    /// Its own end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
}

/// A socket that is closed in the network and still open in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadSocket {
    /// The same as of a connection that is alive: of a dead one the kernel keeps all of it.
    pub listed: Listed,
    /// Whether it was never connected.
    pub never_connected: bool,
    /// The error that the process has not been told yet (`errno`); 0 if there is none.
    pub error: u32,
    /// Whether the peer's FIN had come; `None` if unknown.
    pub fin_came: Option<bool>,
}

/// A descriptor of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The socket's inode.
    pub inode: u64,
    /// Who has it.
    pub holder: Holder,
}

/// Descriptors, indexed by the socket's inode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Descriptors(Vec<Descriptor>);

impl Descriptors {
    /// All of them without duplicates: the walk may find a descriptor twice, through a thread or in
    /// another pass.
    #[must_use]
    pub fn new(mut descriptors: Vec<Descriptor>) -> Self {
        descriptors.sort_unstable_by(|a, b| (a.inode, &a.holder).cmp(&(b.inode, &b.holder)));
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

    /// Keeps only some of them.
    pub fn retain(&mut self, keep: impl FnMut(&Descriptor) -> bool) {
        self.0.retain(keep);
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
    /// The letter of `/proc/PID/stat`: R, S, D, T, Z, … If its first thread has exited and others live on,
    /// the most telling one of these: R before D, S and T.
    pub state: char,
    /// Whether its control group is frozen, so that none of its threads runs; `None` if unknown.
    pub frozen: Option<bool>,
    /// Clock ticks after boot at which it started.
    pub started: u64,
    /// The same in ns of `CLOCK_MONOTONIC`, within 10 ms; too early by the time that the machine has slept since.
    pub began_ns: Option<u64>,
    /// Path of its cgroup (v2), from where paths begin; outside of tcptrace's cgroup namespace it may
    /// begin with `/..`.
    pub cgroup: Option<Arc<str>>,
    /// Its arguments, which may hold secrets; empty if they are not known.
    pub arguments: Vec<String>,
}

/// What the kernel side counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tracing {
    /// The attached hook; `None` for a recording, which does not say, and for a single look, which
    /// attaches nothing.
    pub hook: Option<Hook>,
    /// Sockets that entered the watched state.
    pub entered: u64,
    /// Of those, the ones that left it.
    pub left: u64,
    /// Sockets that entered but did not fit into the map: not among [`Self::entered`].
    pub lost: u64,
    /// Whether these are of sockets that pass the whole filter: the kernel side does not know the
    /// processes.
    pub filtered: bool,
    /// Runs of the program that the kernel skipped; `None` if it does not count them.
    pub recursion_misses: Option<u64>,
}

/// A socket that left the watched state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its cookie, if the kernel gives one.
    pub cookie: Option<u64>,
    /// Its namespace, if known.
    pub netns: Option<u32>,
    /// This end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// When it had entered the state, in ns of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// When it left it, likewise.
    pub left_ns: u64,
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
    /// The sockets in the kernel side's map.
    pub entered: Vec<Entered>,
    /// Sockets that left the state since the last look, as far as the kernel side reports them: it leaves out what
    /// was in it for a moment only.
    pub exits: Vec<Exit>,
    /// The sockets in the watched state.
    pub listed: Vec<Listed>,
    /// Which namespaces are completely in it.
    pub coverage: Coverage,
    /// What was looked at.
    pub looked: Looked,
    /// Listeners.
    pub listening: Vec<Listening>,
    /// The connections in their accept queues, as far as these could be read.
    pub waiting: Vec<Waiting>,
    /// Sockets that are closed in the network and still open in a process; `None` if they were not
    /// looked for.
    pub dead: Option<Vec<DeadSocket>>,
    /// `None` if descriptors were not read.
    pub held: Option<Descriptors>,
    /// Whether these are the descriptors of all processes of a PID namespace, and there are others outside of
    /// it.
    pub in_pid_namespace: bool,
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

/// What a look went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// Network namespaces.
    pub namespaces: usize,
    /// Sockets of TCP in them, whatever their state; `None` if only those in the watched state were
    /// asked for.
    pub sockets: Option<u64>,
}

/// Which namespaces a look shows completely, to distinguish "not listed" from "not asked".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Their inode numbers.
    pub complete: HashSet<u32>,
}

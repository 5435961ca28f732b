//! Why the sockets of a group are stuck, and whether they stay so.

mod clues;
mod evidence;
mod order;

pub use clues::{Asked, Clues, DescriptorUse, Interest, ProcessClues, Throttled, Upstream, Waits};
pub use evidence::{Evidence, Growth, Share, WouldTell};
pub use order::causes_first;

use crate::model::{
    names::{UNKNOWN, names},
    stuck::spread::Ends,
};

/// Whether sockets stay until somebody mends the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leak {
    /// They do: the evidence carries it.
    Yes,
    /// They do not: they are served.
    No,
    /// Nothing decides it.
    #[default]
    Unknown,
}

names!(Leak {
    Yes => "yes",
    No => "no",
    Unknown => UNKNOWN,
});

/// What keeps sockets in `CLOSE_WAIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CauseName {
    /// Client connections that were taken, from a pool or as a client of their own, and never given back.
    Leased,
    /// They lie idle in a pool, and the peer closed first.
    IdlePooled,
    /// No process has accepted them.
    NeverAccepted,
    /// Accepted, and nobody reads the request.
    Starved,
    /// The end was read, and the socket not closed.
    EofIgnored,
    /// A process holds them that never used them: it got them when it was forked.
    Inherited,
    /// They are closed only when memory is collected.
    GarbageCollected,
    /// The process still sends, or waits to be able to.
    Sending,
    /// The process does not run.
    Stopped,
    /// They come and go: traffic.
    Churn,
}

names!(CauseName {
    Leased => "leased",
    IdlePooled => "idle_pooled",
    NeverAccepted => "never_accepted",
    Starved => "starved",
    EofIgnored => "eof_ignored",
    Inherited => "inherited",
    GarbageCollected => "garbage_collected",
    Sending => "sending",
    Stopped => "stopped",
    Churn => "churn",
});

/// A cause that fits, with what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Which.
    pub name: CauseName,
    /// What speaks for it; what tells most comes first.
    pub evidence: Vec<Evidence>,
}

/// The group that another one follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowsFrom {
    /// Its process.
    pub pid: u32,
    /// What its sockets have in common.
    pub ends: Ends,
}

/// What is known beside any cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// In how many ns the next keepalive probe is due at the earliest; `None` if none is.
    pub next_probe_ns: Option<u64>,
    /// The namespace's sysctls of keepalive; `None` if they are not known.
    pub keepalive: Option<KeepaliveSysctls>,
    /// The process's descriptors.
    pub descriptors: Option<DescriptorUse>,
    /// In how many ns they run out as the group grows: at the earliest and at the latest; `None` where it does
    /// not grow, or the limit is not known.
    pub runs_out_ns: Option<(u64, Option<u64>)>,
    /// Residue of the same process and remote, or the same process and port.
    pub residue: usize,
    /// How the group grew in the session; `None` at the first look.
    pub growth: Option<Growth>,
}

/// `net.ipv4.tcp_keepalive_*` of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepaliveSysctls {
    /// How long a connection must be idle, in s.
    pub time_s: u32,
    /// Between probes, in s.
    pub interval_s: u32,
    /// How many of them.
    pub probes: u32,
}

/// Why the sockets of a group are stuck.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whether they stay so.
    pub leak: Leak,
    /// The causes that fit, best first; none if nothing tells.
    pub causes: Vec<Cause>,
    /// Why the answer about the leak is not another one, where that is not in the evidence of a cause.
    pub leak_because: Vec<Evidence>,
    /// The group whose fault this is, if it is a consequence.
    pub follows_from: Option<FollowsFrom>,
    /// What would tell more; what tells most comes first.
    pub would_tell: Vec<WouldTell>,
    /// What is known beside.
    pub beside: Beside,
}

impl Diagnosis {
    /// The cause that fits best.
    #[must_use]
    pub fn first(&self) -> Option<CauseName> {
        self.causes.first().map(|cause| cause.name)
    }
}

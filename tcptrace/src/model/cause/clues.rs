//! What is read about the processes that have stuck sockets, beside the look itself.

use std::collections::{HashMap, HashSet};

use crate::model::{cause::KeepaliveSysctls, socket::Endpoint};

/// What is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The processes that hold stuck sockets, or listen where they wait; with these sockets, by inode and descriptor.
    pub processes: HashMap<u32, Vec<(u32, u32)>>,
    /// Which of them may wait for another server: of these the open connections as a client matter, and what their
    /// threads wait for.
    pub upstreams_of: HashSet<u32>,
    /// Network namespaces of stuck sockets.
    pub namespaces: HashSet<u32>,
}

/// All of it. What is missing could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clues {
    /// By process.
    pub processes: HashMap<u32, ProcessClues>,
    /// By network namespace.
    pub keepalive: HashMap<u32, KeepaliveSysctls>,
    /// Whether there was more to read than fits into a look.
    pub cut_short: bool,
}

/// What is read about one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessClues {
    /// Its open descriptors.
    pub descriptors: Option<DescriptorUse>,
    /// What its sets of `epoll` wait for; `None` if one of them could not be read.
    pub interest: Option<HashMap<u32, Interest>>,
    /// Of stuck sockets by inode: whether all its descriptors of it are closed when it executes another program
    /// (`O_CLOEXEC`).
    pub close_on_exec: HashMap<u32, bool>,
    /// How often its control group was held back; `None` if it has no limit, or that is not known.
    pub throttled: Option<Throttled>,
    /// Where its open connections as a client go, the most first; `None` if they were not looked for.
    pub upstreams: Option<Vec<Upstream>>,
    /// What its threads wait for that ends by itself; `None` if that was not looked for, or may not be read.
    pub waits: Option<Waits>,
}

/// What the threads of a process wait for that ends by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// Threads that were looked at.
    pub threads: usize,
    /// Of those that wait with a time-out, for how long at most, in ns; the shortest first.
    pub timed_ns: Vec<u64>,
    /// How many wait for a child process, which lives.
    pub for_children: usize,
}

/// The descriptors of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorUse {
    /// How many are open.
    pub open: u64,
    /// How many may be (the soft limit of `RLIMIT_NOFILE`).
    pub limit: u64,
}

impl DescriptorUse {
    /// Whether the process can open no more.
    #[must_use]
    pub fn are_full(self) -> bool {
        self.open >= self.limit
    }

    /// Whether it soon cannot.
    #[must_use]
    pub fn are_nearly_full(self) -> bool {
        self.open.saturating_mul(100) >= self.limit.saturating_mul(95)
    }
}

/// What an `epoll` set waits for at a socket (`events` in `/proc/PID/fdinfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest(pub u32);

impl Interest {
    const IN: u32 = 0x1;
    const EDGE_TRIGGERED: u32 = 1 << 31;

    /// Whether it wakes somebody again and again as long as there is something to read, so that something that is
    /// not read shows that nobody comes.
    #[must_use]
    pub fn is_level_triggered_read(self) -> bool {
        self.0 & Self::IN != 0 && self.0 & Self::EDGE_TRIGGERED == 0
    }

    /// Whether it waits for something to read.
    #[must_use]
    pub fn is_read(self) -> bool {
        self.0 & Self::IN != 0
    }

    /// Whether it lasts until the socket is closed, so that it says nothing.
    #[must_use]
    pub fn is_edge_triggered(self) -> bool {
        self.0 & Self::EDGE_TRIGGERED != 0
    }
}

/// `cpu.stat` of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    /// Periods in which it ran.
    pub periods: u64,
    /// Those in which it was held back.
    pub throttled: u64,
}

/// Open connections of a process as a client: in `ESTABLISHED`, or closed by it and half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// Where they go.
    pub remote: Endpoint,
    /// How many.
    pub count: usize,
}

//! The numbers at one look.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use crate::model::{
    caveat::Caveat,
    names::names,
    owner::Candidates,
    socket::Role,
    states::{counts::Counts, remotes::Remotes},
};

/// What sockets are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The process's name.
    Comm,
    /// The process.
    Pid,
    /// The remote address.
    Remote,
    /// The service's port: the remote port of a client, the local port of a server.
    Port,
    /// The control group.
    Cgroup,
    /// The container, pod or service.
    Container,
    /// The network namespace.
    Netns,
}

names!(By {
    Comm => "comm",
    Pid => "pid",
    Remote => "remote",
    Port => "port",
    Cgroup => "cgroup",
    Container => "container",
    Netns => "netns",
});

/// What the sockets of a group have in common: what was asked for, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The process's name: not yet fit for a terminal.
    pub comm: Option<Arc<str>>,
    /// The process.
    pub pid: Option<u32>,
    /// Where one of several processes is meant: these, with their numbers if these count.
    pub candidates: Candidates,
    /// Whether some process has them open, and it is not known which.
    pub unknown: bool,
    /// Which side they are, if nothing was asked for.
    pub server: Option<bool>,
    /// The remote address, in IPv4 form if it is v4-mapped.
    pub remote: Option<IpAddr>,
    /// The service's port.
    pub port: Option<u16>,
    /// Path of the control group: not yet fit for a terminal.
    pub cgroup: Option<Arc<str>>,
    /// The container: likewise.
    pub container: Option<String>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
}

impl Key {
    /// Which side of a connection has this key, as far as a process is shown with its connections.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.server {
            Some(true) => Role::Server,
            Some(false) => Role::Client,
            None => Role::Unknown,
        }
    }
}

/// Sockets with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: Key,
    /// How many.
    pub counts: Counts,
    /// How many there were at the look before; `None` at the first one.
    pub before: Option<Counts>,
    /// Where a server's connections come from, if nothing was asked for.
    pub remotes: Remotes,
}

/// A service that listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The port.
    pub port: u16,
    /// The names of the processes that have it open, as far as they are known: not yet fit for a terminal.
    pub comms: Vec<Arc<str>>,
    /// Connections that wait to be accepted.
    pub queued: u64,
}

/// The numbers at one look.
#[derive(Debug, Clone)]
pub struct Report {
    /// Wall-clock time.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// What the groups are by; none for a process and its connections.
    pub by: Vec<By>,
    /// All that pass the filter.
    pub all: Counts,
    /// The same at the look before.
    pub before: Option<Counts>,
    /// The worst first.
    pub groups: Vec<Group>,
    /// How many processes there are among the groups.
    pub processes: usize,
    /// What listens.
    pub services: Vec<Service>,
    /// What could not be seen.
    pub caveats: Vec<Caveat>,
}

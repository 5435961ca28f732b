//! A socket: its identity, its state, since when it is in it, and further details.

mod details;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

pub use details::{AtEntry, Details, Timer};
use tcptrace_common::TcpState;

use crate::model::{
    names::{UNKNOWN, names},
    owner::{Holder, KnownBy, Listener, Owner, first_named},
};

/// An address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// In the socket's own form: an IPv6 socket that uses IPv4 has a v4-mapped address.
    pub address: IpAddr,
    /// In host order.
    pub port: u16,
}

/// The socket's own address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Family {
    Ipv4,
    Ipv6,
}

names!(Family {
    Ipv4 => "ipv4",
    Ipv6 => "ipv6",
});

impl Family {
    /// The family that an address of this kind belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// An address in the form that IPv4 and IPv6 share.
#[must_use]
pub fn common_form(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The address, a v4-mapped one as the IPv4 address that it stands for.
#[must_use]
pub fn shown_form(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The protocol of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Mptcp,
}

names!(Protocol {
    Tcp => "tcp",
    Mptcp => "mptcp",
});

/// What a reported duration means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The exact duration: its beginning was seen.
    Exact,
    /// A lower bound.
    AtLeast,
}

names!(Precision {
    Exact => "exact",
    AtLeast => "at_least",
});

/// Whether a socket has been in its state for as long as was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stuck {
    /// It has.
    Yes,
    /// It may have: the bounds on its age lie on both sides.
    MayBe,
}

names!(Stuck {
    Yes => "yes",
    MayBe => "may_be",
});

/// When a socket entered its state, in ns of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The transition was seen.
    Exact(u64),
    /// It entered at this moment or earlier.
    AtLatest(u64),
}

impl Since {
    /// The moment, exact or not.
    #[must_use]
    pub fn moment_ns(self) -> u64 {
        match self {
            Self::Exact(ns) | Self::AtLatest(ns) => ns,
        }
    }

    /// What the time since that moment means.
    #[must_use]
    pub fn precision(self) -> Precision {
        match self {
            Self::Exact(_) => Precision::Exact,
            Self::AtLatest(_) => Precision::AtLeast,
        }
    }

    /// Whether the transition was seen.
    #[must_use]
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

/// Which side of the connection this socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It connected.
    Client,
    /// It came from a listener.
    Server,
    /// Unknown.
    Unknown,
}

names!(Role {
    Client => "client",
    Server => "server",
    Unknown => UNKNOWN,
});

/// Which socket it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// TCP, or the MPTCP connection as a whole.
    pub protocol: Protocol,
    /// Its family.
    pub family: Family,
    /// This end; port 0 if it has none yet.
    pub local: Endpoint,
    /// The other end; a listener has an unspecified one.
    pub remote: Endpoint,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
    /// The cookie, which is unique since boot.
    pub cookie: Option<u64>,
    /// Which side of the connection it is.
    pub role: Role,
}

/// A socket in a state, with everything that is known about it from a look at the machine or from a
/// log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Which socket.
    pub identity: Identity,
    /// The state.
    pub state: TcpState,
    /// Since when.
    pub since: Since,
    /// If the transition was not seen: the earliest moment at which it can have entered the state, in ns
    /// of `CLOCK_MONOTONIC`; `None` if nothing tells.
    pub earliest_ns: Option<u64>,
    /// What the kernel knew at the transition into it; `None` if that was not seen.
    pub at_entry: Option<Box<AtEntry>>,
    /// `None` where the kernel could not be asked.
    pub details: Option<Box<Details>>,
    /// Every descriptor that refers to it, by pid and fd; `None` if descriptors could not be read.
    pub holders: Option<Vec<Holder>>,
    /// Whether a process must have it open, and none of the PID namespace that tcptrace runs in has.
    pub held_outside: bool,
    /// The process that connected, accepted or listens, according to a log; a look at the machine
    /// does not show it.
    pub opener: Option<Owner>,
    /// The process that has taken it over, likewise.
    pub user: Option<Owner>,
    /// The listener at which it waits to be accepted, if it does and the listener is known.
    pub listener: Option<Listener>,
    /// Path of its control group, from where paths begin: of the one that created it, or of its owner
    /// according to a log.
    pub cgroup: Option<Arc<str>>,
    /// Paths of further control groups that it belongs to: those of its holders, or of its listener's, in
    /// their order; none if all are in [`Self::cgroup`]. In a log also the one that created it. A listener
    /// that was passed on is in its maker's group, and so is what comes in at it.
    pub other_cgroups: Vec<Arc<str>>,
}

/// These control groups, each once; none if all are `cgroup`.
pub fn others<'a>(
    cgroup: Option<&Arc<str>>,
    groups: impl Iterator<Item = &'a Arc<str>> + Clone,
) -> Vec<Arc<str>> {
    let mut others = Vec::new();
    // Most often they are: this allocates nothing then.
    if groups.clone().all(|group| Some(group) == cgroup) {
        return others;
    }
    for group in groups {
        if !others.contains(group) {
            others.push(Arc::clone(group));
        }
    }
    others
}

impl Socket {
    /// A socket that is only known from a log.
    #[must_use]
    pub fn logged(identity: Identity, state: TcpState, since: Since, owner: Option<Owner>) -> Self {
        let mut socket = Self {
            identity,
            state,
            since,
            earliest_ns: None,
            at_entry: None,
            details: None,
            holders: None,
            held_outside: false,
            opener: None,
            user: None,
            listener: None,
            cgroup: None,
            other_cgroups: Vec::new(),
        };
        socket.set_owner(owner);
        socket
    }

    /// Notes the control groups of its holders, or of its listener's; `of`: the group of a process.
    pub fn add_holders_cgroups<'a>(&mut self, of: impl Fn(u32) -> Option<&'a Arc<str>> + Clone) {
        let listeners = self.listener.as_ref().and_then(|one| one.holders.as_ref());
        let holders = self.holders.iter().chain(listeners).flatten();
        let groups = holders.filter_map(|holder| of(holder.pid));
        self.other_cgroups = others(self.cgroup.as_ref(), groups);
    }

    /// Path of the control group of the process that it is counted under; `None` also if it is counted
    /// under none and those that may be meant are in several.
    #[must_use]
    pub fn process_cgroup(&self) -> Option<&Arc<str>> {
        match self.other_cgroups.as_slice() {
            [] => self.cgroup.as_ref(),
            [_, _, ..] if self.process().is_none() => None,
            [first, ..] => Some(first),
        }
    }

    /// Sets the owner according to a log: the process that listens where it waits, or the one that
    /// opened it.
    pub fn set_owner(&mut self, owner: Option<Owner>) {
        self.cgroup = owner.as_ref().and_then(|owner| owner.cgroup.clone());
        let waits = |owner: &Owner| owner.known_by == KnownBy::Listener;
        // Where several may accept it, whoever listens is only one of them.
        let several = (self.listener.take()).filter(|listener| !listener.candidates().is_empty());
        (self.opener, self.listener) = match (owner, several) {
            (Some(owner), several) if waits(&owner) => {
                let listener = several.map(|several| Listener {
                    opener: Some(owner.clone()),
                    ..several
                });
                (
                    None,
                    Some(listener.unwrap_or_else(|| Listener::logged(owner))),
                )
            }
            (None, several) => (None, several),
            (opener, _) => (opener, None),
        };
    }

    /// The owner according to a log: the process that has taken it over, otherwise the one that opened it,
    /// otherwise the one that listens where it waits, unless several may accept it.
    #[must_use]
    pub fn logged_owner(&self) -> Option<&Owner> {
        let listener = self.listener.as_ref();
        let only = listener.filter(|listener| listener.candidates().is_empty());
        let listens = || only?.opener.as_ref();
        let opened_by = self.user.as_ref().or(self.opener.as_ref());
        opened_by.or_else(listens)
    }

    /// Whether a process has ever accepted or opened it. This is only known in states in which the
    /// socket has not been closed: there, no inode means that no process has accepted it. In a log,
    /// a socket of a listener that no process had open when the log ended was not accepted.
    #[must_use]
    pub fn accepted(&self) -> Option<bool> {
        let open = matches!(self.state, TcpState::CloseWait | TcpState::Established);
        let Some(details) = &self.details else {
            return match self.holders.as_deref()? {
                [] if open && self.listener.is_some() => Some(false),
                [] => None,
                _ => Some(true),
            };
        };
        match (details.inode, open) {
            (0, true) => Some(false),
            (0, false) => None,
            _ => Some(true),
        }
    }

    /// Pid and name of the process that the socket is counted under: the first holder, otherwise
    /// the only process that can accept it, otherwise the opener.
    #[must_use]
    pub fn process(&self) -> Option<(u32, &str)> {
        let held = self.holders.as_deref().and_then(first_named);
        held.or_else(|| self.listener.as_ref()?.process())
            .or_else(|| self.user.as_ref().or(self.opener.as_ref())?.named())
    }

    /// The processes that may be meant, if several can accept it.
    #[must_use]
    pub fn candidates(&self) -> Vec<(u32, &str)> {
        if self.holders.as_ref().is_some_and(|held| !held.is_empty()) {
            return Vec::new();
        }
        let listener = self.listener.as_ref();
        listener.map_or_else(Vec::new, Listener::candidates)
    }

    /// Whether its process has closed it: no process has it open, in a state in which it has been
    /// accepted.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let unheld = self.holders.as_ref().is_some_and(Vec::is_empty);
        let no_inode = (self.details.as_ref()).is_some_and(|details| details.inode == 0);
        unheld && no_inode && self.accepted().is_none()
    }

    /// Its age at the moment `now_ns`, in ns.
    #[must_use]
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.since.moment_ns())
    }

    /// The most that its age can be at the moment `now_ns`, in ns; `None` if nothing tells.
    #[must_use]
    pub fn age_at_most_ns(&self, now_ns: u64) -> Option<u64> {
        let earliest_ns = match self.since {
            Since::Exact(ns) => ns,
            Since::AtLatest(latest_ns) => self.earliest_ns?.min(latest_ns),
        };
        Some(now_ns.saturating_sub(earliest_ns))
    }

    /// Whether its age at the moment `now_ns` is `older_than_ns` or more; `None` if it is surely
    /// younger.
    #[must_use]
    pub fn stuck(&self, now_ns: u64, older_than_ns: u64) -> Option<Stuck> {
        if self.age_ns(now_ns) >= older_than_ns {
            return Some(Stuck::Yes);
        }
        let at_most_ns = self.age_at_most_ns(now_ns);
        at_most_ns
            .is_none_or(|ns| ns >= older_than_ns)
            .then_some(Stuck::MayBe)
    }
}

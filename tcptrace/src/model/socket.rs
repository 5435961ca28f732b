//! A socket: its identity, its state, since when it is in it, and further details.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

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

/// The kernel timer that runs for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Timer {
    None,
    Retransmit,
    Keepalive,
    ZeroWindowProbe,
}

names!(Timer {
    None => "none",
    Retransmit => "retransmit",
    Keepalive => "keepalive",
    ZeroWindowProbe => "zero_window_probe",
});

/// What a look shows about a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// 0 if no process has it open.
    pub inode: u32,
    /// The user that created it.
    pub uid: u32,
    /// Bytes received and not read; of TCP in `CLOSE_WAIT` the FIN counts as one. `None` if this kernel
    /// does not show it (of MPTCP).
    pub recv_queue: Option<u32>,
    /// Bytes sent and not acknowledged; `None` likewise.
    pub send_queue: Option<u32>,
    /// The timer that runs; `None` if this kernel does not show it.
    pub timer: Option<Timer>,
    /// Whether keepalive is on (`SO_KEEPALIVE`).
    pub keepalive: Option<bool>,
    /// Bytes received from the peer.
    pub bytes_received: Option<u64>,
    /// Bytes that the peer has acknowledged; a SYN that this end sent counts as one.
    pub bytes_acked: Option<u64>,
    /// The latest moment at which the last data can have arrived, in ns of `CLOCK_MONOTONIC`.
    pub last_data_ns: Option<u64>,
    /// The last moment at which anything touched the connection, likewise (`tcp_mstamp`).
    pub touched_ns: Option<u64>,
    /// Its control group's id (5.8 and later).
    pub cgroup_id: Option<u64>,
    /// Of an MPTCP connection: how many subflows it has, if that is known.
    pub subflows: Option<u8>,
    /// Whether it is a remainder: its process has closed it, and the kernel keeps a small entry until
    /// the peer's FIN comes or `tcp_fin_timeout` is over.
    pub remainder: bool,
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
    /// `None` where the kernel could not be asked.
    pub details: Option<Box<Details>>,
    /// Every descriptor that refers to it, by pid and fd; `None` if descriptors could not be read.
    pub holders: Option<Vec<Holder>>,
    /// The process that connected, accepted or listens, according to a log; a look at the machine
    /// does not show it.
    pub opener: Option<Owner>,
    /// The listener at which it waits to be accepted, if it does and the listener is known.
    pub listener: Option<Listener>,
    /// Path of its control group, from the cgroup root.
    pub cgroup: Option<Arc<str>>,
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
            details: None,
            holders: None,
            opener: None,
            listener: None,
            cgroup: None,
        };
        socket.set_owner(owner);
        socket
    }

    /// Sets the owner according to a log: the process that listens where it waits, or the one that
    /// opened it.
    pub fn set_owner(&mut self, owner: Option<Owner>) {
        self.cgroup = owner.as_ref().and_then(|owner| owner.cgroup.clone());
        let waits = |owner: &Owner| owner.known_by == KnownBy::Listener;
        (self.opener, self.listener) = match owner {
            Some(owner) if waits(&owner) => (None, Some(Listener::logged(owner))),
            opener => (opener, None),
        };
    }

    /// The owner according to a log: the process that opened it, otherwise the one that listens
    /// where it waits.
    #[must_use]
    pub fn logged_owner(&self) -> Option<&Owner> {
        let listens = || self.listener.as_ref()?.opener.as_ref();
        self.opener.as_ref().or_else(listens)
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
            .or_else(|| self.opener.as_ref().map(Owner::named))
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

//! A socket in the watched state, with everything that is known of it.

use std::net::{IpAddr, Ipv6Addr};

use tcptrace_common::TcpState;

use crate::model::{
    names::{UNKNOWN, names},
    transition::Owner,
};

/// An address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// As the socket has it: an IPv6 socket that speaks IPv4 has a v4-mapped address.
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

/// What a duration that is told means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// So long: its beginning was seen.
    Exact,
    /// So long or longer.
    AtLeast,
}

names!(Precision {
    Exact => "exact",
    AtLeast => "at_least",
});

/// When a socket entered the watched state, in ns of `CLOCK_MONOTONIC`.
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
    /// It came out of a listener.
    Server,
    /// Nothing tells.
    Unknown,
}

names!(Role {
    Client => "client",
    Server => "server",
    Unknown => UNKNOWN,
});

/// One file descriptor that refers to the socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The descriptor's number in it.
    pub fd: u32,
    /// The process's name as the kernel has it: not yet fit for a terminal.
    pub comm: String,
}

/// The listener that a socket waits at to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Who has it open; the oldest process first, as forked workers share one. `None` where nobody
    /// could be asked.
    pub holders: Option<Vec<Holder>>,
    /// Who listens, by what a log says.
    pub opener: Option<Owner>,
    /// Connections that wait to be accepted.
    pub queued: Option<u32>,
    /// How many may wait.
    pub backlog: Option<u32>,
}

impl Listener {
    /// Pid and name of the first process that has it open, or else of the one that listens.
    #[must_use]
    pub fn owner(&self) -> Option<(u32, &str)> {
        first(self.holders.as_deref()).or_else(|| self.opener.as_ref().map(named))
    }
}

fn first(holders: Option<&[Holder]>) -> Option<(u32, &str)> {
    holders?.first().map(|first| (first.pid, &first.comm[..]))
}

fn named(owner: &Owner) -> (u32, &str) {
    (owner.process.pid, &owner.process.comm)
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

/// What `sock_diag` says of a socket at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// 0 where no process has it open.
    pub inode: u32,
    /// The user that made it.
    pub uid: u32,
    /// Bytes received and not read; in `CLOSE_WAIT` the FIN counts as one.
    pub recv_queue: u32,
    /// Bytes sent and not acknowledged.
    pub send_queue: u32,
    /// What the kernel waits for.
    pub timer: Timer,
    /// Its control group's id (5.8 and later).
    pub cgroup_id: Option<u64>,
    /// Whether it is a subflow of an MPTCP connection.
    pub mptcp: bool,
}

impl Details {
    /// Whether keepalive is on: unknown while another timer hides that one.
    #[must_use]
    pub fn keepalive(&self) -> Option<bool> {
        match self.timer {
            Timer::Keepalive => Some(true),
            Timer::None => Some(false),
            Timer::Retransmit | Timer::ZeroWindowProbe => None,
        }
    }
}

/// A socket in the watched state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The watched state.
    pub state: TcpState,
    /// Since when.
    pub since: Since,
    /// Which side it is.
    pub role: Role,
    /// Its family.
    pub family: Family,
    /// This end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
    /// The cookie, which no other socket has had since boot.
    pub cookie: Option<u64>,
    /// `None` where the kernel could not be asked.
    pub details: Option<Details>,
    /// Every descriptor that refers to it, by pid and fd; `None` where nobody could be asked.
    pub holders: Option<Vec<Holder>>,
    /// Who connected, accepted or listens, by what a log says; a look at the machine does not tell.
    pub opener: Option<Owner>,
    /// Where it waits to be accepted, if it does and the listener is known.
    pub listener: Option<Listener>,
    /// Path of its control group, from the cgroup root.
    pub cgroup: Option<String>,
}

impl Socket {
    /// Whether a process has ever got hold of it. Only states in which a socket has not been closed
    /// tell: there, no inode means that nobody has accepted it. In a log, a socket of a listener
    /// that nobody had open when the log ended was not accepted.
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

    /// Pid and name of the process that the socket is counted under: the first holder, or else the
    /// first one that has its listener open, or else the opener.
    #[must_use]
    pub fn owner(&self) -> Option<(u32, &str)> {
        let held = first(self.holders.as_deref());
        held.or_else(|| self.listener.as_ref()?.owner())
            .or_else(|| self.opener.as_ref().map(named))
    }

    /// Its age at the moment `now_ns`, in ns.
    #[must_use]
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.since.moment_ns())
    }
}

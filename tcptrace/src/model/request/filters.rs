//! Which sockets are asked about, as given: no name is looked up yet.

use ipnet::IpNet;
use tcptrace_common::TcpState;

use crate::model::{filter::Filter, socket::Family};

/// A network namespace as the user gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Netns {
    /// By its inode number, as in `net:[…]`.
    Inode(u32),
    /// By its name in `/run/netns`, or by a path.
    Name(String),
}

/// Filters, the same on every command; an empty part lets everything through, several values of one
/// part mean "any of".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Processes.
    pub pids: Vec<u32>,
    /// Names of processes.
    pub comms: Vec<String>,
    /// Local or remote ports.
    pub ports: Vec<u16>,
    /// Ranges of remote addresses.
    pub remotes: Vec<IpNet>,
    /// The network namespace.
    pub netns: Option<Netns>,
    /// Path of a control group, from the cgroup root; those below it are meant too.
    pub cgroup: Option<String>,
    /// The sockets' family.
    pub family: Option<Family>,
}

impl Filters {
    /// The filter that the model applies, once it is known which namespace `netns` is: its inode
    /// number.
    #[must_use]
    pub fn resolved(&self, netns: Option<u32>) -> Filter {
        Filter {
            pids: self.pids.clone(),
            comms: self.comms.clone(),
            ports: self.ports.clone(),
            remotes: self.remotes.clone(),
            netns,
            cgroup: self.cgroup.clone(),
            family: self.family,
        }
    }
}

/// Which records of a log are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilters {
    /// Those of these sockets.
    pub sockets: Filters,
    /// Those of descendants of the processes too.
    pub children: bool,
    /// Those into or out of one of these states; none for all.
    pub states: Vec<TcpState>,
}

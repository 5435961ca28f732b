//! The snapshots that `tcptrace stuck --json` writes: the part that scripts may rely on.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

/// A line: the sockets that are stuck at one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Snapshot {
    pub schema: String,
    pub time: String,
    pub monotonic_ns: u64,
    pub watched: Watched,
    pub sockets: Vec<Socket>,
    pub groups: Vec<Group>,
    pub tracing: Tracing,
}

/// What the tool looks for.
#[derive(Debug, Clone, Deserialize)]
pub struct Watched {
    pub state: String,
    pub older_than_ns: u64,
}

/// A socket that is stuck.
#[derive(Debug, Clone, Deserialize)]
pub struct Socket {
    pub state: String,
    pub age_ns: u64,
    pub age: String,
    pub role: String,
    pub accepted: Option<bool>,
    pub family: String,
    pub local: Endpoint,
    pub remote: Endpoint,
    pub netns: Option<u64>,
    pub cookie: Option<u64>,
    pub inode: Option<u64>,
    pub recv_queue: Option<u64>,
    pub send_queue: Option<u64>,
    pub keepalive: Option<bool>,
    pub holders: Option<Vec<Holder>>,
    pub listener: Option<Listener>,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: Option<u16>,
}

impl Endpoint {
    /// The socket address, if it has a port.
    pub fn socket_addr(self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address, self.port?))
    }
}

/// A descriptor of a process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub comm: String,
    pub fd: Option<i32>,
    pub via: String,
}

impl Holder {
    /// Process and number, if it is a descriptor.
    pub fn descriptor(&self) -> Option<(u32, i32)> {
        Some((self.pid, self.fd.filter(|_| self.via == "descriptor")?))
    }
}

/// The process that listens. Both are `None` if it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listener {
    pub pid: Option<u32>,
    pub comm: Option<String>,
}

/// Sockets of one process with one remote.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    pub pid: Option<u32>,
    pub remote: Endpoint,
    pub sockets: usize,
    pub oldest_ns: u64,
    pub median_ns: u64,
}

/// The state of the tracing itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Tracing {
    /// `None` for a single look, which attaches nothing.
    pub hook: Option<String>,
    pub lost: u64,
    pub recursion_misses: Option<u64>,
}

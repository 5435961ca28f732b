//! What `tcptrace stuck --json` and `tcptrace log --json` write, as far as scripts may rely on it.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

/// One line.
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

/// What was looked for.
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
    /// As an address, if it has a port.
    pub fn socket_addr(self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address, self.port?))
    }
}

/// A descriptor of a process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub comm: String,
    pub fd: i32,
}

/// The process that listens; nobody where it has gone since.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listener {
    pub pid: Option<u32>,
    pub comm: Option<String>,
}

/// Sockets of one process to one remote.
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
    pub hook: String,
    pub lost: u64,
    pub recursion_misses: Option<u64>,
}

/// A line of a log.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "schema")]
pub enum Line {
    #[serde(rename = "tcptrace.transition/1")]
    Transition(Transition),
    #[serde(rename = "tcptrace.open/1")]
    Open(Open),
    #[serde(rename = "tcptrace.lost/1")]
    Lost(Lost),
}

impl Line {
    /// Its moments: by the wall clock and by the monotonic one.
    pub fn moment(&self) -> (&str, u64) {
        match self {
            Self::Transition(line) => (&line.time, line.monotonic_ns),
            Self::Open(line) => (&line.time, line.monotonic_ns),
            Self::Lost(line) => (&line.time, line.monotonic_ns),
        }
    }
}

/// A socket went from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transition {
    pub time: String,
    pub monotonic_ns: u64,
    pub from: String,
    pub to: String,
    pub duration_ns: Option<u64>,
    pub duration: String,
    #[serde(flatten)]
    pub subject: Subject,
    pub caller: Option<Caller>,
}

/// A socket that was still there when the log ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Open {
    pub time: String,
    pub monotonic_ns: u64,
    pub state: String,
    pub age_ns: u64,
    pub age: String,
    pub holders: Option<Vec<Holder>>,
    #[serde(flatten)]
    pub subject: Subject,
}

/// Which socket, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subject {
    pub family: String,
    pub local: Endpoint,
    pub remote: Endpoint,
    pub netns: Option<u64>,
    pub cookie: Option<u64>,
    pub protocol: String,
    pub role: String,
    pub pid: Option<u32>,
    pub comm: Option<String>,
    pub owner: String,
    pub tid: Option<u32>,
    pub started_ns: Option<u64>,
    pub cgroup: Option<String>,
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Caller {
    pub pid: u32,
    pub tid: Option<u32>,
    pub comm: String,
}

/// What is missing.
#[derive(Debug, Clone, Deserialize)]
pub struct Lost {
    pub time: String,
    pub monotonic_ns: u64,
    pub transitions: u64,
    pub sockets: u64,
    pub runs: u64,
}

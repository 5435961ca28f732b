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
    /// `None` for a recording.
    pub looked: Option<Looked>,
    pub stuck: usize,
    pub may_be: usize,
    pub younger: usize,
    pub sockets: Vec<Socket>,
    pub groups: Vec<Group>,
    /// `None` if it was not looked for.
    pub residue: Option<Vec<Residue>>,
    pub failed_connects: Option<Vec<Residue>>,
    pub tracing: Tracing,
    pub caveats: Vec<Caveat>,
    pub notes: Vec<String>,
}

impl Snapshot {
    /// Whether it says that this could not be seen.
    pub fn has_caveat(&self, name: &str) -> bool {
        self.caveats.iter().any(|caveat| caveat.caveat == name)
    }
}

/// What the tool looks for.
#[derive(Debug, Clone, Deserialize)]
pub struct Watched {
    pub state: String,
    pub older_than_ns: u64,
}

/// What a look went through.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Looked {
    pub namespaces: usize,
    pub sockets: Option<u64>,
}

/// A socket that is stuck.
#[derive(Debug, Clone, Deserialize)]
pub struct Socket {
    pub state: String,
    pub stuck: String,
    pub age_ns: u64,
    pub age: String,
    pub age_at_most_ns: Option<u64>,
    pub role: String,
    pub accepted: Option<bool>,
    pub protocol: String,
    /// Only of MPTCP.
    pub subflows: Option<u8>,
    pub remainder: bool,
    pub family: String,
    pub local: Endpoint,
    pub remote: Endpoint,
    pub netns: Option<u64>,
    pub cookie: Option<u64>,
    pub inode: Option<u64>,
    pub recv_queue: Option<u64>,
    pub send_queue: Option<u64>,
    pub bytes_received: Option<u64>,
    pub bytes_acked: Option<u64>,
    pub last_data_received_ns: Option<u64>,
    pub last_data_sent_ns: Option<u64>,
    pub data_segments_in: Option<u32>,
    pub data_segments_out: Option<u32>,
    pub backoff: Option<u8>,
    pub keepalive: Option<bool>,
    /// From now.
    pub keepalive_due_ns: Option<i64>,
    /// `None` if it was there before the tool.
    pub at_entry: Option<AtEntry>,
    pub holders: Option<Vec<Holder>>,
    pub held: String,
    pub listener: Option<Listener>,
}

/// What the kernel knew about a socket when it entered its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct AtEntry {
    pub since_data_ns: u64,
    pub since_sent_ns: u64,
    pub bytes_received: u64,
    pub bytes_acked: u64,
    pub unread: u64,
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
    pub tid: Option<u32>,
    pub fd: Option<i32>,
    pub via: String,
}

impl Holder {
    /// Process and number, if it is a descriptor.
    pub fn descriptor(&self) -> Option<(u32, i32)> {
        Some((self.pid, self.fd.filter(|_| self.via == "descriptor")?))
    }
}

/// The process that listens. It is `None` if it has ended, or if several processes have the listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listener {
    pub pid: Option<u32>,
    pub comm: Option<String>,
    pub holders: Option<Vec<Holder>>,
    pub queued: Option<u32>,
    pub backlog: Option<u32>,
}

/// Sockets of one process with one remote, or at one port.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    pub pid: Option<u32>,
    pub process_state: Option<char>,
    pub frozen: Option<bool>,
    pub candidates: Vec<Candidate>,
    pub role: String,
    pub local: Option<Local>,
    pub remote: Option<Endpoint>,
    pub sockets: usize,
    pub stuck: usize,
    pub may_be: usize,
    pub unaccepted: usize,
    pub recv_queues: RecvQueues,
    pub command: Option<String>,
    pub oldest_ns: u64,
    pub median_ns: u64,
    pub descriptors: Option<Descriptors>,
    /// `None` in other states than CLOSE_WAIT.
    pub diagnosis: Option<Diagnosis>,
}

/// How many descriptors a process has, and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Descriptors {
    pub open: u64,
    pub limit: u64,
}

/// Why the sockets of a group are stuck.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Diagnosis {
    pub leak: String,
    pub causes: Vec<Cause>,
    pub leak_because: Vec<String>,
    pub follows_from: Option<FollowsFrom>,
    pub would_tell: Vec<String>,
    /// `None` at the first look.
    pub growth: Option<Growth>,
    pub runs_out_ns: Option<(u64, Option<u64>)>,
}

/// A cause that fits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cause {
    pub cause: String,
    pub evidence: Vec<String>,
    pub remedy: String,
}

/// The group whose consequence another one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct FollowsFrom {
    pub pid: u32,
    pub remote: Option<Endpoint>,
    pub local: Option<Local>,
}

/// How a group grew in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Growth {
    None,
    Steady { sockets: usize, within_ns: u64 },
    Plateau { for_ns: u64 },
    Sawtooth { falls: usize },
    Shrinks,
}

/// The end that the sockets of a listener share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Local {
    pub address: Option<IpAddr>,
    pub port: u16,
}

/// How many sockets have so many unread bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RecvQueues {
    pub zero: usize,
    pub one: usize,
    pub more: usize,
    pub unknown: usize,
}

/// One of several processes of which the owner may be any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Candidate {
    pub pid: u32,
    pub comm: String,
    pub process_state: Option<char>,
    pub frozen: Option<bool>,
}

/// A socket that is dead in the network and still open in a process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Residue {
    pub holders: Vec<Holder>,
    pub family: String,
    pub local: Endpoint,
    pub remote: Endpoint,
    pub netns: u64,
    pub inode: u64,
    pub died_ns: Option<u64>,
    /// `None` for a connect that failed.
    pub died_by: Option<String>,
    pub was_close_wait: Option<bool>,
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Caveat {
    pub caveat: String,
    pub count: Option<u64>,
    pub text: String,
}

/// The state of the tracing itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Tracing {
    /// `None` for a single look, which attaches nothing.
    pub hook: Option<String>,
    pub transitions: u64,
    pub lost: u64,
    pub recursion_misses: Option<u64>,
}

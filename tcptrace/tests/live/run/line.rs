//! The lines that `tcptrace log --json` writes: the part that scripts may rely on.

use serde::Deserialize;

use crate::run::snapshot::{Endpoint, Holder};

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
    /// Its times: by the wall clock and by the monotonic clock.
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
    pub ended: Option<String>,
    pub still_open: Option<bool>,
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
    pub residue: Option<bool>,
    pub was_in: Option<String>,
    #[serde(flatten)]
    pub subject: Subject,
}

/// The socket and its owner.
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
    pub opener: Option<Opener>,
    pub user: Option<User>,
}

/// The process that opened it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Opener {
    pub pid: Option<u32>,
    pub comm: String,
    pub known_by: String,
}

/// The process that has taken it over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    pub pid: Option<u32>,
    pub comm: String,
}

/// The process that made the call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Caller {
    pub pid: Option<u32>,
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

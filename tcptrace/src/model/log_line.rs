//! A line of a log in JSON: what its kinds and its fields are called stands here and nowhere else,
//! for whoever writes lines and whoever reads them. What they mean is in `docs/json.md`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{names::names, recording::NamedNetns, request::Netns};

/// The kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the lines after it are of.
    Header,
    /// A transition.
    Transition,
    /// A socket that stayed.
    StillOpen,
    /// Something is missing.
    Loss,
}

// The schemas of lines.
names!(Kind {
    Header => "tcptrace.recording/1",
    Transition => "tcptrace.transition/1",
    StillOpen => "tcptrace.open/1",
    Loss => "tcptrace.lost/1",
});

/// An object: a struct that serde reads, and for each field, under its name, the text that a writer
/// puts before the value when another one stands before it: `,"pid":`. That is one piece, which is
/// faster than three.
macro_rules! object {
    ($(#[$about:meta])* $object:ident { $($field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Deserialize)]
        #[allow(missing_docs)] // see `docs/json.md`
        pub struct $object {
            $(pub $field: $type,)+
        }

        #[allow(missing_docs, non_upper_case_globals)] // called as the fields are
        impl $object {
            $(pub const $field: &str = concat!(",\"", stringify!($field), "\":");)+
        }
    };
}

object! {
    /// What tells the kind of a line.
    Head {
        schema: String,
    }
}

object! {
    /// The other fields of all kinds of lines; what a kind needs, its reader asks for.
    Fields {
        time: Option<String>,
        monotonic_ns: Option<u64>,
        from: Option<String>,
        to: Option<String>,
        duration_ns: Option<u64>,
        duration: Option<String>,
        state: Option<String>,
        age_ns: Option<u64>,
        age: Option<String>,
        family: Option<String>,
        local: Option<EndFields>,
        remote: Option<EndFields>,
        netns: Option<u32>,
        cookie: Option<u64>,
        protocol: Option<String>,
        role: Option<String>,
        pid: Option<u32>,
        comm: Option<String>,
        owner: Option<String>,
        tid: Option<u32>,
        started_ns: Option<u64>,
        cgroup: Option<String>,
        caller: Option<CallerFields>,
        holders: Option<Vec<HolderFields>>,
        transitions: Option<u64>,
        sockets: Option<u64>,
        runs: Option<u64>,
    }
}

object! {
    /// An end of a connection.
    EndFields {
        address: IpAddr,
        port: Option<u16>,
    }
}

object! {
    /// Who brought a transition about.
    CallerFields {
        pid: u32,
        tid: Option<u32>,
        comm: Option<String>,
    }
}

object! {
    /// Who has a socket open.
    HolderFields {
        pid: u32,
        comm: Option<String>,
        fd: u32,
    }
}

/// The line that says what those after it are of.
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // see `docs/json.md`
pub struct HeaderFields {
    pub schema: String,
    pub version: String,
    pub kernel: String,
    pub boot_id: Option<String>,
    pub filters: FilterFields,
    pub netns: Vec<NamedNetns>,
    pub time: String,
    pub monotonic_ns: u64,
}

/// What was asked for; what was not given is not there. One that is not known here may have left
/// anything out, so that nobody may pass over it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // see `docs/json.md`
pub struct FilterFields {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pid: Vec<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub children: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comm: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub port: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<Netns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
}

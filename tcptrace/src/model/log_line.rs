//! A line of a log in JSON. Only this module defines the names of its kinds and fields, for the
//! writer and the reader. `docs/json.md` says what they mean.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{names::names, recording::NamedNetns, request::Netns};

/// The kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A header: where, when and with which filters the following lines were made.
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

/// Defines an object: a struct that serde reads, and a constant for each field with the text that a
/// writer puts before the value of every field except the first: `,"pid":`. Appending one piece is
/// faster than three.
macro_rules! object {
    ($(#[$about:meta])* $object:ident { $($field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Deserialize)]
        #[allow(missing_docs)] // see `docs/json.md`
        pub struct $object {
            $(pub $field: $type,)+
        }

        #[allow(missing_docs, non_upper_case_globals)] // named like the fields
        impl $object {
            $(pub const $field: &str = concat!(",\"", stringify!($field), "\":");)+
        }
    };
}

object! {
    /// The field that says which kind a line is.
    Head {
        schema: String,
    }
}

object! {
    /// The other fields of all kinds of lines. The reader of a kind checks for the fields that it
    /// needs.
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
        age_at_most_ns: Option<u64>,
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
        candidates: Option<Vec<UserFields>>,
        opener: Option<OpenerFields>,
        user: Option<UserFields>,
        caller: Option<CallerFields>,
        ended: Option<String>,
        still_open: Option<bool>,
        residue: Option<bool>,
        was_in: Option<String>,
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
    /// The process that opened a socket, and how that is known.
    OpenerFields {
        pid: Option<u32>,
        comm: Option<String>,
        known_by: String,
    }
}

object! {
    /// The process that has taken a socket over.
    UserFields {
        pid: Option<u32>,
        comm: Option<String>,
    }
}

object! {
    /// The process whose call caused a transition.
    CallerFields {
        pid: Option<u32>,
        tid: Option<u32>,
        comm: Option<String>,
    }
}

object! {
    /// A process that has a socket open.
    HolderFields {
        pid: u32,
        comm: Option<String>,
        tid: Option<u32>,
        fd: Option<u32>,
        via: Option<String>,
    }
}

/// The header line.
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // see `docs/json.md`
pub struct HeaderFields {
    pub schema: String,
    pub version: String,
    pub kernel: String,
    pub boot_id: Option<String>,
    pub filters: FilterFields,
    #[serde(default)]
    pub cgroups_from: Option<String>,
    pub netns: Vec<NamedNetns>,
    pub time: String,
    pub monotonic_ns: u64,
}

/// The filters; those that were not given are absent. An unknown filter is an error, because it may
/// have left out anything.
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

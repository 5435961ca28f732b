//! What a recording says of itself.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::request::LogFilters;

/// A recording's first line, or that of a part of it: where, when and of what it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingHeader {
    /// The version of the program that made it.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// Which run of the machine it is of, if that is known.
    pub boot_id: Option<String>,
    /// What was asked for: nothing else is in it.
    pub filters: LogFilters,
    /// The network namespaces that had a name when it began; one may have several.
    pub netns: Vec<NamedNetns>,
    /// When it began.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
}

/// A network namespace with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedNetns {
    /// Its inode number.
    pub inode: u32,
    /// Its name: not yet fit for a terminal.
    pub name: String,
}

impl RecordingHeader {
    /// The inode number of the network namespace with this name.
    #[must_use]
    pub fn inode_of(&self, name: &str) -> Option<u32> {
        let named = self.netns.iter().find(|netns| netns.name == name);
        named.map(|netns| netns.inode)
    }
}

//! The header of a recording.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::{names::names, request::LogFilters};

/// The first line of a recording, or of a part of it: where, when and with which filters it was
/// made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingHeader {
    /// The version of the program that made it.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// The boot of the machine in which it was made, if known.
    pub boot_id: Option<String>,
    /// The filters: the recording contains nothing else.
    pub filters: LogFilters,
    /// Where paths of control groups begin; `None` if there are none, or an earlier version made it.
    pub cgroups_from: Option<CgroupsFrom>,
    /// The network namespaces that had a name when it began; a namespace may have several.
    pub netns: Vec<NamedNetns>,
    /// When it began.
    pub time: SystemTime,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
}

/// Where paths of control groups begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupsFrom {
    /// At the machine's root.
    Machine,
    /// At the root of a cgroup namespace: the machine's could not be reached.
    Namespace,
}

names!(CgroupsFrom {
    Machine => "machine",
    Namespace => "namespace",
});

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

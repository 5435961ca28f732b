//! The ways to find holders; the fastest that works is used.

use std::{collections::HashSet, io};

use aya::Ebpf;

use crate::source::{
    bpf::load::{self, Iterator, TypeInfo},
    walk::{
        iterator::{self, Found},
        proc,
    },
};

/// How holders are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderMethod {
    /// A BPF iterator walks descriptor tables.
    Walk,
    /// A BPF iterator is run for each descriptor.
    EachFile,
    /// `/proc/*/fd` is read.
    Proc,
}

impl HolderMethod {
    /// Loads the first iterator that works, if one does here.
    #[must_use]
    pub fn choose(ebpf: &mut Ebpf, types: Option<&TypeInfo>) -> Self {
        let usable =
            types.filter(|types| types.has_task_offsets && load::in_initial_pid_namespace());
        match usable {
            Some(types) if load::iterator(ebpf, Iterator::Walk, types).is_ok() => Self::Walk,
            Some(types) if load::iterator(ebpf, Iterator::EachFile, types).is_ok() => {
                Self::EachFile
            }
            _ => Self::Proc,
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Walk => "a BPF iterator over tasks (walk_files)",
            Self::EachFile => "a BPF iterator over descriptors (each_file)",
            Self::Proc => "/proc/*/fd",
        }
    }

    /// As [`Self::find`], before it is known of which sockets; `None` where that must be known.
    pub fn find_ahead(self, ebpf: &mut Ebpf) -> Option<io::Result<Found>> {
        match self {
            Self::Walk => Some(iterator::walk(ebpf, false)),
            Self::EachFile | Self::Proc => None,
        }
    }

    /// Every descriptor of the sockets with these inodes, and maybe of others; `mptcp` says that
    /// some of them are subflows of MPTCP.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn find(self, ebpf: &mut Ebpf, inodes: &HashSet<u64>, mptcp: bool) -> io::Result<Found> {
        match self {
            Self::Walk => iterator::walk(ebpf, mptcp),
            Self::EachFile => iterator::each_file(ebpf),
            Self::Proc => proc::find(inodes),
        }
    }
}

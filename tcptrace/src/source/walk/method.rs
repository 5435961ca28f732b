//! The ways to find holders; the fastest that works is used.

use std::{collections::HashSet, io};

use aya::Ebpf;

use crate::source::{
    bpf::types::TypeInfo,
    machine::restrictions::in_initial_pid_namespace,
    walk::{
        iterator::{self, Found, HolderIterator},
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
    /// Loads the first iterator that works on this machine, if any.
    #[must_use]
    pub fn choose(ebpf: &mut Ebpf, types: Option<&TypeInfo>) -> Self {
        let usable = types.filter(|types| types.has_task_offsets && in_initial_pid_namespace());
        let mut loads = |iterator: HolderIterator| {
            usable.is_some_and(|types| iterator.load(ebpf, types).is_ok())
        };
        if loads(HolderIterator::Walk) {
            Self::Walk
        } else if loads(HolderIterator::EachFile) {
            Self::EachFile
        } else {
            Self::Proc
        }
    }

    /// The method in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Walk => "a BPF iterator over tasks (walk_files)",
            Self::EachFile => "a BPF iterator over descriptors (each_file)",
            Self::Proc => "/proc/*/fd",
        }
    }

    /// The same as [`Self::find`], before the sockets are known; `None` if the method needs to know
    /// them.
    pub fn find_ahead(self, ebpf: &mut Ebpf) -> Option<io::Result<Found>> {
        match self {
            Self::Walk => Some(iterator::walk(ebpf, false)),
            Self::EachFile | Self::Proc => None,
        }
    }

    /// Every descriptor of the sockets with these inodes, and possibly of others; `mptcp` says that
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

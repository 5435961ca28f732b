//! Who holds a socket that no descriptor shows. Everything here is slow: it is only asked about
//! sockets that are in no table of descriptors, and not at each look.
//!
//! Only what names the socket counts. A call that goes on although its descriptor is closed may be
//! about any socket: that there is only one of them on the machine proves nothing, because other
//! things that hold sockets show nothing at all.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use procfs::process::{FDTarget, Process, all_processes};

use crate::{
    model::{
        owner::{Holder, Via},
        stuck::look::Descriptor,
    },
    source::machine::{clock::monotonic_ns, threads},
};

/// How long an answer is used again: what holds a socket without a descriptor keeps it for long.
const VALID_NS: u64 = 10_000_000_000;

/// Answers for some time, by inode.
#[derive(Debug, Default)]
pub struct Hidden(HashMap<u64, (u64, Vec<Descriptor>)>);

impl Hidden {
    /// The holders of the sockets with these inodes, as far as processes name these.
    pub fn find(&mut self, inodes: &HashSet<u64>) -> Vec<Descriptor> {
        let now_ns = monotonic_ns();
        self.0
            .retain(|_, (asked_ns, _)| now_ns.saturating_sub(*asked_ns) < VALID_NS);
        if inodes.iter().any(|inode| !self.0.contains_key(inode)) {
            let found = find(inodes);
            for inode in inodes {
                let held = found.iter().filter(|one| one.inode == *inode);
                self.0.insert(*inode, (now_ns, held.cloned().collect()));
            }
        }
        let held = inodes.iter().filter_map(|inode| self.0.get(inode));
        held.flat_map(|(_, held)| held.iter().cloned()).collect()
    }
}

/// The holders of the sockets with these inodes, as far as processes name these: as a registered file
/// of `io_uring`, or as a mapping.
fn find(inodes: &HashSet<u64>) -> Vec<Descriptor> {
    let processes = all_processes().into_iter().flatten().flatten();
    let found = processes.flat_map(|process| by_process(&process, inodes));
    found.collect()
}

fn by_process(process: &Process, inodes: &HashSet<u64>) -> Vec<Descriptor> {
    let folder = threads::folder(&Path::new("/proc").join(process.pid.to_string()));
    let descriptors = Process::new_with_root(folder.clone()).and_then(|thread| thread.fd());
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |paths: &mut dyn Iterator<Item = &str>, via| {
        let inodes = paths.filter_map(socket).filter(|one| inodes.contains(one));
        found.extend(inodes.map(|inode| Descriptor {
            inode,
            holder: Holder {
                pid: process.pid.cast_unsigned(),
                tid: None,
                fd: None,
                via,
                comm: (process.stat().map(|stat| stat.comm).unwrap_or_default()).into(),
            },
        }));
    };
    for descriptor in descriptors.into_iter().flatten().flatten() {
        let is_ring = |kind: &str| kind.contains("io_uring");
        if matches!(&descriptor.target, FDTarget::AnonInode(kind) if is_ring(kind)) {
            let text = read(&format!("fdinfo/{}", descriptor.fd));
            add(&mut text.lines().filter_map(registered), Via::IoUring);
        }
    }
    let text = read("maps");
    add(&mut text.lines().filter_map(mapped), Via::Mapping);
    found
}

/// The path of a registered file (`io_uring_show_fdinfo`, `io_uring/fdinfo.c`): `    0: PATH`.
fn registered(line: &str) -> Option<&str> {
    let (number, path) = line.trim_start().split_once(": ")?;
    number.parse::<u32>().is_ok().then_some(path)
}

/// The path of a mapping (`show_map_vma`, `fs/proc/task_mmu.c`): it is the sixth word and what follows.
fn mapped(line: &str) -> Option<&str> {
    line.splitn(6, ' ').nth(5).map(str::trim_start)
}

/// The inode of a socket with this path. Those of files begin with a slash, whatever their names are.
fn socket(path: &str) -> Option<u64> {
    let rest = path.strip_prefix("socket:[")?;
    rest.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_is_taken_for_one() {
        assert_eq!(socket("socket:[7]"), Some(7));
        for other in ["/tmp/socket:[7]", "socket:[7", "pipe:[7]", ""] {
            assert_eq!(socket(other), None, "{other}");
        }
    }

    #[test]
    fn registered_files_are_read() {
        let path = |line| registered(line).and_then(socket);
        assert_eq!(path("    0: socket:[7]"), Some(7));
        for other in [
            "UserFiles:\t1",
            "    0: /a:\\040socket:[7]",
            "x: socket:[7]",
        ] {
            assert_eq!(path(other), None, "{other}");
        }
    }

    #[test]
    fn mappings_are_read() {
        let path = |line| mapped(line).and_then(socket);
        let line = "7f12-7f13 r--s 00000000 00:08 7                          socket:[7]";
        assert_eq!(path(line), Some(7));
        let file = "7f12-7f13 r--s 00000000 08:01 9                          /tmp/a socket:[7]";
        assert_eq!(path(file), None);
        assert_eq!(path("7f12-7f13 rw-p 00000000 00:00 0 "), None);
    }
}

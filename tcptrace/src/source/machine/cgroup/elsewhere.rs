//! Ways to the machine's root of all control groups where none of this process's mounts shows it.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::directory::Directory;
use crate::source::machine::threads::numbered;

/// The inode numbers of the initial namespaces (`include/linux/proc_ns.h`).
const INITIAL_CGROUP: u64 = 0xEFFF_FFFB;
const INITIAL_USER: u64 = 0xEFFF_FFFD;

/// Where the hierarchy is most often mounted, from a process's root: alone, or beside the cgroup v1
/// hierarchies.
const PLACES: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

/// At most so many processes are looked at, and so many mount namespaces are looked into.
const MOST_PROCESSES: usize = 10_000;
const MOST_MOUNT_NAMESPACES: usize = 64;

/// Whether this process is in the machine's initial cgroup namespace.
pub fn is_initial() -> bool {
    // Where there are no such namespaces, there is no other one.
    inode(Path::new("/proc/self/ns/cgroup")).is_none_or(|inode| inode == INITIAL_CGROUP)
}

fn inode(path: &Path) -> Option<u64> {
    Some(fs::metadata(path).ok()?.ino())
}

/// The root through the root directory of another process, whose user namespace is the initial one: so only
/// root can have chosen its mounts. Returns the process, too.
pub fn by_process() -> Option<(PathBuf, Directory)> {
    let mut seen = HashSet::new();
    let processes = numbered(Path::new("/proc")).ok()?;
    let processes = processes.take(MOST_PROCESSES).filter(|process| {
        inode(&process.join("ns/user")) == Some(INITIAL_USER)
            && inode(&process.join("ns/mnt")).is_some_and(|inode| seen.insert(inode))
    });
    let mut processes: Vec<_> = processes.collect();
    let is_initial = |process: &Path| inode(&process.join("ns/cgroup")) == Some(INITIAL_CGROUP);
    // The sort keeps the order otherwise: process 1 comes first.
    processes.sort_by_cached_key(|process| !is_initial(process));
    let processes = processes.into_iter().take(MOST_MOUNT_NAMESPACES);
    processes.into_iter().find_map(|process| {
        let root = process.join("root");
        let mut places = PLACES.iter();
        let found = places
            .find_map(|place| Directory::of_process(&root, place).filter(Directory::is_root))?;
        Some((process, found))
    })
}

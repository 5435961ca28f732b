//! Namespaces to which neither a process's first thread nor a mount of this mount namespace leads.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{inode_of, mounts, number};
use crate::source::machine::threads::{instead_of_first, numbered};

/// A namespace that was found, and what refers to it: it stays open no longer than a look takes.
#[derive(Debug)]
pub struct Found {
    /// Its identity, as in `net:[…]`.
    pub inode: u32,
    /// What refers to it.
    pub file: OwnedFd,
}

/// The namespace of a socket that a process has open, or with `tid` one of its threads that is not the first:
/// this works from Linux 6.9 on.
///
/// # Errors
/// When the descriptor is gone, or may not be looked at.
pub fn of_socket(pid: u32, tid: Option<u32>, fd: u32) -> io::Result<OwnedFd> {
    /// `SIOCGSKNS` of `include/uapi/linux/sockios.h`: a descriptor of the socket's namespace.
    const GET_NAMESPACE: libc::c_ulong = 0x894c;
    /// `PIDFD_THREAD` of `include/uapi/linux/pidfd.h`.
    const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());
    let flags = tid.map_or(PidfdFlags::empty(), |_| THREAD);
    let task = tid.unwrap_or(pid).cast_signed();
    let task = Pid::from_raw(task).ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(task, flags)?;
    let socket = pidfd_getfd(process, fd.cast_signed(), PidfdGetfdFlags::empty())?;
    // SAFETY: the call takes no memory, and gives a new descriptor or an error.
    let namespace = unsafe { libc::ioctl(socket.as_raw_fd(), GET_NAMESPACE, 0) };
    if namespace < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(namespace) })
}

/// The path of something that is open.
#[must_use]
pub fn path_of(file: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

/// All namespaces except the `known` ones to which something else leads: another thread of a process, an
/// open descriptor, a mount in another mount namespace; with `sockets`, also a socket. It looks at every
/// thread and every descriptor.
#[must_use]
pub fn elsewhere(known: HashSet<u32>, sockets: bool) -> Vec<Found> {
    let mut search = Search {
        known,
        sockets,
        mount_namespaces: HashSet::new(),
        found: Vec::new(),
    };
    for process in numbered(Path::new("/proc")).into_iter().flatten() {
        for thread in numbered(&process.join("task")).into_iter().flatten() {
            search.at(&thread.join("ns/net"));
        }
        let other = instead_of_first(&process);
        let folder = other.as_deref().unwrap_or(&process);
        search.by_mounts(folder);
        search.by_descriptors(folder, other.is_some());
    }
    search.found
}

struct Search {
    known: HashSet<u32>,
    sockets: bool,
    mount_namespaces: HashSet<u64>,
    found: Vec<Found>,
}

impl Search {
    /// Takes the namespace at this path, if it is another one.
    fn at(&mut self, path: &Path) {
        let Ok(inode) = inode_of(path) else { return };
        if self.known.contains(&inode) {
            return;
        }
        // Meanwhile the path may lead elsewhere, perhaps to something whose opening waits.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        if let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path)
            && file.metadata().is_ok_and(|now| number(&now) == inode)
        {
            self.take(inode, file.into());
        }
    }

    fn take(&mut self, inode: u32, file: OwnedFd) {
        if self.known.insert(inode) {
            self.found.push(Found { inode, file });
        }
    }

    fn by_mounts(&mut self, process: &Path) {
        let Ok(namespace) = fs::metadata(process.join("ns/mnt")) else {
            return;
        };
        if !self.mount_namespaces.insert(namespace.ino()) {
            return;
        }
        let root = process.join("root");
        for path in mounts::of(process) {
            // The path begins at the process's root.
            if let Ok(below) = path.strip_prefix("/") {
                self.at(&root.join(below));
            }
        }
    }

    /// Looks at the descriptors in the folder of a process, or of one of its `other` threads.
    fn by_descriptors(&mut self, process: &Path, other: bool) {
        for descriptor in numbered(&process.join("fd")).into_iter().flatten() {
            let target = fs::read_link(&descriptor).unwrap_or_default();
            let target = target.as_os_str().as_encoded_bytes();
            if target.starts_with(b"net:[") {
                self.at(&descriptor);
            } else if self.sockets && target.starts_with(b"socket:[") {
                self.by_socket(process, other, &descriptor);
            }
        }
    }

    fn by_socket(&mut self, process: &Path, other: bool, descriptor: &Path) {
        let number_of = |path: &Path| path.file_name()?.to_str()?.parse().ok();
        let (Some(pid), Some(fd)) = (number_of(process), number_of(descriptor)) else {
            return;
        };
        if let Ok(file) = of_socket(pid, other.then_some(pid), fd)
            && let Ok(inode) = inode_of(&path_of(&file))
        {
            self.take(inode, file);
        }
    }
}

//! Namespaces that the tool runs in, as in a container.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::Command,
};

use anyhow::{Context, Result};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set, unshare_unsafe},
};

use crate::harness::{
    child::go_on_as_child,
    place::private_mounts,
    time_namespace::{self, Ahead},
};

/// Which `/proc` the tool finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proc {
    /// That of its own PID namespace, as in a container.
    Own,
    /// The machine's, as after `nsenter --pid`.
    Machines,
}

/// Makes the command run in the PID namespace of this process.
pub fn in_pids_of(command: &mut Command, pid: u32, proc: Proc) -> Result<()> {
    let namespace = File::open(format!("/proc/{pid}/ns/pid")).context("no PID namespace")?;
    // SAFETY: between fork and exec, the closure only makes system calls, on constant strings and what it owns. It
    // allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            enter_pids(&namespace)?;
            go_on_as_child()?;
            if proc == Proc::Own {
                private_mounts()?;
                mount_proc()?;
            }
            Ok(())
        });
    }
    Ok(())
}

fn enter_pids(namespace: &File) -> io::Result<()> {
    // SAFETY: the call takes a descriptor and a number; it affects the children of this process.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn mount_proc() -> io::Result<()> {
    Ok(mount(
        c"proc",
        c"/proc",
        c"proc",
        MountFlags::empty(),
        None,
    )?)
}

/// What a container has of its own: mounts, control groups and time always, and these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container {
    /// Its PID namespace, and the `/proc` of it.
    pub pids: bool,
    /// Its view of control groups: their root is that of its namespace.
    pub groups: bool,
}

/// The times that the kernel's clock is behind that of a container.
const AHEAD: Ahead = Ahead {
    monotonic_ns: 500_000_000_000_000,
    boottime_ns: 500_000_000_000_000,
};

impl Container {
    /// Makes the command run in one, without a capability; with the processes in the PID namespace of `pid`.
    pub fn prepare(self, command: &mut Command, pid: u32, without: CapabilitySet) -> Result<()> {
        let namespace = File::open(format!("/proc/{pid}/ns/pid")).context("no PID namespace")?;
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let hierarchy = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| CString::new(at).ok())?
        });
        let offsets = (fs::exists("/proc/self/ns/time")?).then(|| AHEAD.text());
        let enter = move || {
            if self.pids {
                enter_pids(&namespace)?;
            }
            if let Some(offsets) = &offsets {
                time_namespace::make(offsets)?;
            }
            private_mounts()?;
            // SAFETY: this process has one thread, and this flag affects neither memory nor descriptors.
            unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }?;
            if let (true, Some(at)) = (self.groups, &hierarchy) {
                unmount(at, UnmountFlags::empty())?;
                mount(c"cgroup2", at, c"cgroup2", MountFlags::empty(), None)?;
            }
            go_on_as_child()?;
            if self.pids {
                mount_proc()?;
            }
            for capability in without.iter() {
                remove_capability_from_bounding_set(capability)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec, the closure only makes system calls, on memory that exists already. It takes no
        // lock.
        unsafe { command.pre_exec(enter) };
        Ok(())
    }
}

/// The process's number in its innermost PID namespace.
pub fn inner_pid(pid: u32) -> Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let last = line.and_then(|line| line.split_whitespace().last());
    Ok(last.context("no NSpid")?.parse()?)
}

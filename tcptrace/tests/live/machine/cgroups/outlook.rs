//! What leads from a cgroup namespace to the machine's root of all control groups.

use std::{
    ffi::{CStr, CString},
    io,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    process::Command,
};

use anyhow::Result;
use rustix::{
    fs::{Mode, OFlags, open},
    mount::{MountFlags, UnmountFlags, mount, unmount},
    thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set, unshare_unsafe},
};
use testbed::Netns;

use crate::{
    harness::{cgroup::Cgroup, child::go_on_as_child, place::private_mounts},
    run::tool::{Outcome, Tool, binary},
};

/// Where the tool runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// In a cgroup namespace of its own, with the machine's mounts.
    Unmounted,
    /// The hierarchy is mounted again from there: it begins at the namespace's root.
    Remounted,
    /// The same without the capability to open a directory by its number: other processes have the machine's mounts.
    OtherProcesses,
    /// The same, and no other process can be seen: nothing leads out.
    Alone,
}

impl Outlook {
    pub const ALL: [Self; 4] = [
        Self::Unmounted,
        Self::Remounted,
        Self::OtherProcesses,
        Self::Alone,
    ];

    /// Its part of a test's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unmounted => "unmounted",
            Self::Remounted => "remounted",
            Self::OtherProcesses => "other_processes",
            Self::Alone => "alone",
        }
    }

    /// Starts the tool in the group, from which its cgroup namespace begins, and in the network namespace, which is a
    /// filter, too.
    pub fn start(self, group: &Cgroup, netns: &Netns, words: &str) -> Result<Tool> {
        let mount_point = CString::new(group.mount().as_os_str().as_bytes())?;
        let procs = format!("{}{}/cgroup.procs", group.mount().display(), group.path);
        let procs = CString::new(procs)?;
        let mut command = Command::new(binary());
        command.args(words.split(' '));
        command.args(["--netns", &netns.inode().to_string()]);
        let enter = move || self.enter(&mount_point, &procs);
        // SAFETY: between fork and exec, the closure only makes system calls, on strings that exist already. It takes no
        // lock.
        unsafe { command.pre_exec(enter) };
        netns.run(move || Tool::start_command(command))?
    }

    /// Ends it as Ctrl-C does, and checks that it succeeded.
    pub fn end(self, tool: Tool) -> Result<Outcome> {
        tool.end()
    }

    fn enter(self, mount_point: &CStr, procs: &CStr) -> io::Result<()> {
        let file = open(procs, OFlags::WRONLY, Mode::empty())?;
        rustix::io::write(&file, b"0")?;
        private_mounts()?;
        // SAFETY: this process has one thread, and this flag affects neither memory nor descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }?;
        if self == Self::Unmounted {
            return Ok(());
        }
        unmount(mount_point, UnmountFlags::empty())?;
        let (kind, flags) = (c"cgroup2", MountFlags::empty());
        mount(kind, mount_point, kind, flags, None::<&CStr>)?;
        if self == Self::Remounted {
            return Ok(());
        }
        remove_capability_from_bounding_set(CapabilitySet::DAC_READ_SEARCH)?;
        if self == Self::Alone {
            leave_processes()?;
        }
        Ok(())
    }
}

/// Goes on as the first process of a new PID namespace. The process that was until here waits for its end, and ends with
/// the same code.
fn leave_processes() -> io::Result<()> {
    // SAFETY: as above: it is for the children.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
    go_on_as_child()?;
    let kind = c"proc";
    Ok(mount(
        kind,
        c"/proc",
        kind,
        MountFlags::empty(),
        None::<&CStr>,
    )?)
}

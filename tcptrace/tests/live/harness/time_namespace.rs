//! Starts the tool in a time namespace of its own.

use std::{io, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::Result;
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Signal, set_parent_process_death_signal},
    thread::{UnshareFlags, unshare_unsafe},
};

use crate::{
    harness::{child::go_on_as_child, verdict::Ignored},
    run::tool::{Tool, binary},
};

/// By how much its clocks are ahead of the kernel's, in ns; negative if they are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    pub monotonic_ns: i64,
    pub boottime_ns: i64,
}

/// How the tool comes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// As the child of a process that made it, as with `unshare --fork`.
    Fork,
    /// By becoming the program that the tool is. Kernels before 6.3 leave it in the old one, and its children would be in
    /// the new one.
    Exec,
    /// As such a child that has made another one before it becomes the tool.
    Both,
}

impl Ahead {
    /// What to write into `timens_offsets`: the nanoseconds are added.
    pub fn text(self) -> Vec<u8> {
        let line = |clock: &str, ns: i64| {
            let second = 1_000_000_000;
            format!(
                "{clock} {} {}\n",
                ns.div_euclid(second),
                ns.rem_euclid(second)
            )
        };
        let lines = [
            ("monotonic", self.monotonic_ns),
            ("boottime", self.boottime_ns),
        ];
        lines.map(|(clock, ns)| line(clock, ns)).concat().into()
    }
}

/// Starts the tool there with exactly these arguments.
pub fn start(ahead: Ahead, entry: Entry, arguments: &[&str]) -> Result<Tool> {
    if !Path::new("/proc/self/ns/time").exists() {
        return Err(Ignored::because("this kernel has no time namespaces"));
    }
    let mut command = Command::new(binary());
    command.args(arguments);
    let text = ahead.text();
    let other = Ahead {
        monotonic_ns: 77_000_000_000,
        ..ahead
    };
    let other = other.text();
    let enter = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        make(&text)?;
        if entry != Entry::Exec {
            go_on_as_child()?;
        }
        if entry == Entry::Both {
            make(&other)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec, the closure only makes system calls, on memory that exists already. It takes no
    // lock.
    unsafe { command.pre_exec(enter) };
    Tool::start_command(command)
}

/// Makes a namespace, in which children of this process will be.
pub fn make(offsets: &[u8]) -> io::Result<()> {
    // SAFETY: it affects neither memory nor descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWTIME) }?;
    let file = open(c"/proc/self/timens_offsets", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, offsets)?;
    Ok(())
}

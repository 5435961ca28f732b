//! The circumstances the tool is run in: what of the kernel's interfaces it finds.

use std::{ffi::CStr, io::Result, os::unix::process::CommandExt, process::Command};

use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::Signal,
    thread::UnshareFlags,
};

/// Circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// With BTF, and told to use it.
    Btf,
    /// With tracefs, and told to use the classic tracepoint.
    Tracepoint,
    /// With tracefs, without BTF, and told nothing.
    NoBtf,
    /// As the machine is, and told nothing.
    AsIs,
}

/// The two ways to hook in.
pub const BOTH: &[Place] = &[Place::Btf, Place::Tracepoint];

impl Place {
    /// For a test's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Btf => "btf",
            Self::Tracepoint => "tracepoint",
            Self::NoBtf => "no_btf",
            Self::AsIs => "as_is",
        }
    }

    /// What to tell the tool.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Btf => &["--hook", "btf"],
            Self::Tracepoint => &["--hook", "tracepoint"],
            Self::NoBtf | Self::AsIs => &[],
        }
    }

    /// The hook it must say it uses.
    pub fn hook(self) -> &'static str {
        match self {
            Self::Btf | Self::AsIs => "btf",
            Self::Tracepoint | Self::NoBtf => "tracepoint",
        }
    }

    /// Has `command` start in these circumstances, and die with the thread that starts it.
    ///
    /// Mounts are made in a mount namespace of its own, so that nothing of them remains on the machine.
    pub fn prepare(self, command: &mut Command) {
        // SAFETY: between fork and exec only system calls are made, on constant strings; nothing is allocated and no
        // lock is taken.
        unsafe { command.pre_exec(move || self.enter()) };
    }

    fn enter(self) -> Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if matches!(self, Self::Tracepoint | Self::NoBtf) {
            private_mounts()?;
            mount_new(c"tracefs", c"/sys/kernel/tracing")?;
        }
        if self == Self::NoBtf {
            mount_new(c"tmpfs", c"/sys/kernel/btf")?;
        }
        Ok(())
    }
}

/// Leaves the machine's mounts: what this process mounts from here on is its own.
pub fn private_mounts() -> Result<()> {
    // SAFETY: this process has one thread, and shares neither memory nor descriptors by this flag.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    Ok(mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?)
}

fn mount_new(kind: &CStr, at: &CStr) -> Result<()> {
    match mount(kind, at, kind, MountFlags::empty(), None::<&CStr>) {
        // The machine has the very same there already.
        Err(Errno::BUSY) => Ok(()),
        result => Ok(result?),
    }
}

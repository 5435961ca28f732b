//! The environments that the tool runs in: which kernel interfaces it finds.

use std::{ffi::CStr, io::Result, os::unix::process::CommandExt, process::Command};

use rustix::{
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::Signal,
    thread::UnshareFlags,
};

/// An environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// With BTF, and with the option to use it.
    Btf,
    /// With tracefs, and with the option to use the classic tracepoint.
    Tracepoint,
    /// With tracefs, without BTF, and with no option.
    NoBtf,
    /// The machine as it is, and no option.
    AsIs,
}

/// The two ways to hook in.
pub const BOTH: &[Place] = &[Place::Btf, Place::Tracepoint];

impl Place {
    /// Its part of a test's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Btf => "btf",
            Self::Tracepoint => "tracepoint",
            Self::NoBtf => "no_btf",
            Self::AsIs => "as_is",
        }
    }

    /// The options for the tool.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Btf => &["--hook", "btf"],
            Self::Tracepoint => &["--hook", "tracepoint"],
            Self::NoBtf | Self::AsIs => &[],
        }
    }

    /// The hook that the tool must report.
    pub fn hook(self) -> &'static str {
        match self {
            Self::Btf | Self::AsIs => "btf",
            Self::Tracepoint | Self::NoBtf => "tracepoint",
        }
    }

    /// Makes `command` start in this environment, and end with the thread that starts it.
    ///
    /// It mounts in its own mount namespace, so that no mount remains on the machine.
    pub fn prepare(self, command: &mut Command) {
        // SAFETY: between fork and exec, the closure only makes system calls, on constant strings. It allocates
        // nothing and takes no lock.
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

/// Leaves the mount namespace of the machine: from now on, mounts of this process are its own.
pub fn private_mounts() -> Result<()> {
    // SAFETY: this process has one thread, and this flag affects neither memory nor descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    Ok(mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?)
}

fn mount_new(kind: &CStr, at: &CStr) -> Result<()> {
    match mount(kind, at, kind, MountFlags::empty(), None::<&CStr>) {
        // The machine has the same mount there already.
        Err(Errno::BUSY) => Ok(()),
        result => Ok(result?),
    }
}

//! The PID namespace that tcptrace runs in: whose numbers processes have here.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, process};

use rustix::{
    fs::{PROC_SUPER_MAGIC, statfs},
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

use crate::source::error::StartError;

/// Inode number of the initial one (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL: u32 = 0xEFFF_FFFC;

/// Inode number of the namespace; `None` if it is the initial one, or the kernel has no others.
#[must_use]
pub fn nested() -> Option<u32> {
    let metadata = fs::metadata("/proc/self/ns/pid").ok()?;
    u32::try_from(metadata.ino())
        .ok()
        .filter(|inode| *inode != INITIAL)
}

/// Makes sure that `/proc` shows the processes of this namespace. It shows those of the namespace in
/// which it was mounted: whoever enters a PID namespace alone (`nsenter --pid`) still has the old one. Then,
/// and where none is mounted, this process mounts its own, which no other process sees.
///
/// # Errors
/// When that is refused: nothing would be known of processes, or numbers would be those of other ones.
pub fn own_proc() -> Result<(), StartError> {
    let number = |link: &Path| link.to_str()?.parse::<u32>().ok();
    let shown = fs::read_link("/proc/self");
    if shown.is_ok_and(|link| number(&link) == Some(process::id())) {
        return Ok(());
    }
    let is_mounted = statfs("/proc").is_ok_and(|on| on.f_type == PROC_SUPER_MAGIC);
    mount_own().map_err(|error| {
        let reason = error.to_string();
        match is_mounted {
            true => StartError::OtherProc { reason },
            false => StartError::NoProc { reason },
        }
    })
}

fn mount_own() -> io::Result<()> {
    // SAFETY: called before there are other threads; the descriptors stay as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    // What is mounted upon a mount is passed on to the peers of that one. Without one there is the root's,
    // which in a changed root (`chroot`) need not be a mount.
    let private = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    mount_change("/proc", private).or_else(|_| mount_change("/", private))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)?;
    Ok(())
}

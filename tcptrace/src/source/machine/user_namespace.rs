//! The user namespace that tcptrace runs in. Capabilities over the kernel are those of the initial one alone.

use std::{fs, os::unix::fs::MetadataExt as _};

/// Inode number of the initial one (`PROC_USER_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL: u32 = 0xEFFF_FFFD;

/// Inode number of the namespace; `None` if it is the initial one, or the kernel has no others.
#[must_use]
pub fn nested() -> Option<u32> {
    let metadata = fs::metadata("/proc/self/ns/user").ok()?;
    u32::try_from(metadata.ino())
        .ok()
        .filter(|inode| *inode != INITIAL)
}

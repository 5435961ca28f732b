//! tracefs, which describes and numbers classic tracepoints. If it is not mounted, this module
//! mounts it for a moment, in a private mount namespace that ends with its thread.

use std::{fs, thread};

use rustix::{
    io,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

const MOUNT_POINT: &str = "/sys/kernel/tracing";

/// Whether it is mounted.
#[must_use]
pub fn is_mounted() -> bool {
    fs::read_dir(MOUNT_POINT).is_ok_and(|mut entries| entries.next().is_some())
}

/// Does `work` with tracefs mounted, if that is possible.
pub fn with<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if is_mounted() {
        return work();
    }
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Without tracefs, the work itself reports what is missing.
            let _ = mount_privately();
            work()
        });
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn mount_privately() -> io::Result<()> {
    // SAFETY: this only gives the thread its own mount namespace; descriptors stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)?;
    mount("tracefs", MOUNT_POINT, "tracefs", MountFlags::empty(), None)
}

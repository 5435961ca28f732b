//! tracefs, where classic tracepoints are described and numbered. Where it is not mounted, it is
//! for a moment, in a mount namespace that nobody else is in and that goes with its thread.

use std::{fs, thread};

use rustix::{
    io,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

const MOUNT_POINT: &str = "/sys/kernel/tracing";

/// Does `work` where tracefs can be seen, if that can be had.
pub fn with<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mounted = fs::read_dir(MOUNT_POINT).is_ok_and(|mut entries| entries.next().is_some());
    if mounted {
        return work();
    }
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Without it, the work says itself what is missing.
            let _ = mount_privately();
            work()
        });
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn mount_privately() -> io::Result<()> {
    // SAFETY: only this thread's view of mounts is split off; descriptors stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)?;
    mount("tracefs", MOUNT_POINT, "tracefs", MountFlags::empty(), None)
}

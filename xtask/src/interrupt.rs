//! Ctrl-C and SIGTERM as a flag, for a subcommand that has to end cleanly.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on these signals do not end this process. Programs that it starts have the default handlers again.
pub fn watch() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe, and has the type that the kernel
        // calls handlers with.
        unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    }
}

/// Whether a signal has arrived.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Fails if a signal has arrived.
pub fn check() -> Result<()> {
    if asked() {
        bail!("interrupted");
    }
    Ok(())
}

/// Waits, and fails if a signal arrives.
pub fn sleep(length: Duration) -> Result<()> {
    let end = Instant::now() + length;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        check()?;
        thread::sleep(left.min(Duration::from_millis(50)));
    }
    Ok(())
}

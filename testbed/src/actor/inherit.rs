//! Descriptors that survive an `exec`: in a child, or in the process itself.

use std::ffi::OsString;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Error, Result, ensure};

/// Makes a command keep these descriptors open, under the same numbers.
pub fn keep_open(command: &mut Command, fds: Vec<i32>) {
    if fds.is_empty() {
        return;
    }
    let keep = move || {
        for fd in &fds {
            // SAFETY: fcntl does not affect memory; a descriptor that is not open is an error.
            if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } == -1 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only fcntl is called, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(keep) };
}

/// The descriptors in the arguments of an actor, which its parent left open for it.
pub fn adopt(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OwnedFd>> {
    let adopt = |argument: OsString| {
        let fd: i32 = argument
            .to_string_lossy()
            .parse()
            .with_context(|| format!("{argument:?} is not a descriptor"))?;
        // SAFETY: fcntl does not affect memory; a descriptor that is not open is an error.
        let flags = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        ensure!(flags != -1 && fd > 2, "descriptor {fd} was not inherited");
        // SAFETY: it is open, as just checked, and nothing in this program owns it, because the program has just
        // started.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    arguments.into_iter().map(adopt).collect()
}

/// Becomes an actor of another name. Returns only if that fails.
pub fn become_actor(comm: &str, fds: Vec<i32>) -> Error {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["actor", comm])
        .args(fds.iter().map(ToString::to_string));
    keep_open(&mut command, fds);
    Error::new(command.exec()).context("cannot become another program")
}

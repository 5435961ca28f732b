//! Going on as a child between fork and exec: only children are in some new namespaces.

use std::io;

use rustix::process::{Signal, set_parent_process_death_signal};

/// Goes on in a child; this process passes signals to it, and ends as it does.
pub fn go_on_as_child() -> io::Result<()> {
    // SAFETY: all of it works on memory of this function, and on numbers.
    unsafe {
        let (mut passed, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut passed);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD] {
            libc::sigaddset(&raw mut passed, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const passed, &raw mut before);
        let flags = libc::c_long::from(libc::SIGCHLD);
        let nothing = 0 as libc::c_long;
        let child = libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing);
        if child < 0 {
            return Err(io::Error::last_os_error());
        }
        if child == 0 {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            set_parent_process_death_signal(Some(Signal::KILL))?;
            return Ok(());
        }
        // Whoever waits for the end of the child's output waits for the child alone.
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        let child = child as libc::pid_t;
        loop {
            let mut signal = 0;
            libc::sigwait(&raw const passed, &raw mut signal);
            if signal != libc::SIGCHLD {
                libc::kill(child, signal);
                continue;
            }
            let mut status = 0;
            if libc::waitpid(child, &raw mut status, libc::WNOHANG) == child {
                let exited = libc::WIFEXITED(status);
                libc::_exit(if exited {
                    libc::WEXITSTATUS(status)
                } else {
                    128
                });
            }
        }
    }
}

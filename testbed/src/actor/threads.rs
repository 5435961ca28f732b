//! Threads and processes whose table of descriptors is not simply that of a process.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use super::{Reply, answer};
use crate::clock;

/// Starts a thread with a copy of the process's table of descriptors, which lives as long as the process; returns its
/// number.
pub fn with_own_table() -> Result<u32> {
    let (ready, started) = channel();
    std::thread::Builder::new()
        .name(super::THREAD.into())
        .spawn(move || {
            // SAFETY: this thread uses no descriptor from now on, so it does not matter that a number may mean
            // something else here than in the other threads.
            let own = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) };
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            if ready.send(own.map(|()| tid)).is_err() {
                return;
            }
            loop {
                std::thread::park();
            }
        })?;
    let tid = started.recv().context("the thread ended")??;
    Ok(tid.try_into()?)
}

/// Starts a process that shares this one's table of descriptors, waits, and ends with this one; returns its PID.
pub fn share_table() -> Result<u32> {
    let parent = rustix::process::getpid();
    let flags = libc::c_long::from(libc::CLONE_FILES | libc::SIGCHLD);
    let nothing = 0 as libc::c_long;
    // SAFETY: like a fork, it copies the memory. The child makes only system calls: it takes no lock, allocates nothing,
    // uses no descriptor, and never returns.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing) };
    if pid == 0 {
        let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        // If the parent ended before that, the signal does not come.
        if bound.is_ok() && rustix::process::getppid() == Some(parent) {
            loop {
                // SAFETY: pause has no conditions.
                unsafe { libc::pause() };
            }
        }
        // SAFETY: it ends this process at once, without destructors, which belong to the parent.
        unsafe { libc::_exit(1) };
    }
    ensure!(pid > 0, "clone: {}", std::io::Error::last_os_error());
    Ok(pid.try_into()?)
}

/// Ends such a process.
pub fn end(pid: u32) -> Result<()> {
    let pid = Pid::from_raw(pid.try_into()?).context("no PID")?;
    rustix::process::kill_process(pid, Signal::KILL)?;
    rustix::process::waitpid(Some(pid), WaitOptions::empty())?;
    Ok(())
}

/// Ends the main thread, and answers and does `work` in another one. Returns only if it cannot start that thread.
pub fn go_on(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let main = rustix::thread::gettid().as_raw_nonzero().get();
    std::thread::Builder::new().spawn(move || {
        let done = begin(main).and_then(|()| work());
        let code = match done {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("actor: {error:#}");
                1
            }
        };
        std::process::exit(code);
    })?;
    // SAFETY: it ends this thread alone, without destructors: what it owns was given to the other thread.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    bail!("the main thread goes on")
}

/// Waits until the main thread has ended, and answers.
fn begin(main: i32) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let start = Instant::now();
    let stat = format!("/proc/self/task/{main}/stat");
    while !std::fs::read_to_string(&stat)?.contains(") Z ") {
        ensure!(start.elapsed() < clock::patience(), "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
    // Another one has the same table.
    std::thread::Builder::new().spawn(|| {
        loop {
            std::thread::park();
        }
    })?;
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    answer(&Reply::Thread(tid.try_into()?, Box::new(Reply::Done)))
}

//! A network namespace that lives as long as its owner.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use rustix::thread::UnshareFlags;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace with its loopback up.
///
/// A separate thread runs in it and executes jobs inside: processes that are started there inherit the namespace. The
/// rest of the process stays in its own namespace.
#[derive(Debug)]
pub struct Netns {
    inode: u64,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Netns {
    /// Creates a namespace. Needs CAP_SYS_ADMIN.
    pub fn new() -> Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (ready, made) = channel();
        let thread = std::thread::Builder::new()
            .name("netns".into())
            .spawn(move || {
                let entered = enter_new();
                let failed = entered.is_err();
                if ready.send(entered).is_err() || failed {
                    return;
                }
                for job in inbox {
                    job();
                }
            })?;
        let inode = made.recv().context("the namespace's thread ended")??;
        Ok(Self {
            inode,
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// The namespace's inode number, its name for `--netns`.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Sets one of the namespace's own sysctls, such as `ipv4/tcp_max_tw_buckets`.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let (path, value) = (format!("/proc/sys/net/{name}"), value.to_owned());
        let written = self.run({
            let path = path.clone();
            // The thread that opens the file determines the namespace of the setting.
            move || std::fs::write(path, value)
        })?;
        written.with_context(|| format!("cannot write {path}"))
    }

    /// Runs a job inside the namespace, and waits for it.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (done, result) = channel();
        let jobs = self
            .jobs
            .as_ref()
            .ok_or_else(|| anyhow!("the namespace is gone"))?;
        let job = Box::new(move || {
            // The receiver waits below; if it is gone, the result is not needed.
            let _ = done.send(job());
        });
        jobs.send(job)
            .map_err(|_| anyhow!("the namespace's thread ended"))?;
        result
            .recv()
            .context("the job inside the namespace panicked")
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The caller that waited for a job has already seen its panic.
            let _ = thread.join();
        }
    }
}

fn enter_new() -> Result<u64> {
    leave()?;
    super::sockets::loopback_up().context("cannot bring the loopback up")?;
    let inode = rustix::fs::stat("/proc/thread-self/ns/net")
        .context("cannot stat the network namespace")?
        .st_ino;
    Ok(inode)
}

/// Moves the calling thread into a new namespace, in which no interface is up.
pub fn leave() -> Result<()> {
    // SAFETY: unshare without CLONE_FILES or CLONE_VM does not affect memory or descriptors; only the network namespace
    // of this thread changes.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
        .context("cannot make a network namespace")
}

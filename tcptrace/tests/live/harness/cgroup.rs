//! Control groups for processes of a test.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use testbed::clock::patience;

/// A control group, removed when dropped. All its processes must have ended by then.
pub struct Cgroup {
    folder: PathBuf,
    /// The path from the root of all groups.
    pub path: String,
}

impl Cgroup {
    /// Makes one with a name that is unique in this run.
    pub fn new(name: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(at))
        });
        let path = format!("tcptrace-live-{}-{name}", std::process::id());
        let folder = mount.context("no cgroup v2 is mounted")?.join(&path);
        fs::create_dir(&folder).context("cannot make a control group")?;
        let path = format!("/{path}");
        Ok(Self { folder, path })
    }

    /// Where the hierarchy is mounted.
    pub fn mount(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Moves a process into it.
    pub fn take(&self, pid: u32) -> Result<()> {
        let procs = self.folder.join("cgroup.procs");
        fs::write(procs, pid.to_string()).context("cannot move a process into a control group")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let start = Instant::now();
        // A killed process stays in the group until the kernel has removed it.
        while fs::remove_dir(&self.folder).is_err() && start.elapsed() < patience() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

//! Control groups for processes of a test.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use testbed::clock::patience;

/// The hierarchies of control groups that freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freezer {
    /// cgroup v2.
    Unified,
    /// That of cgroup v1.
    Old,
}

/// A control group, removed when dropped. All its processes must have ended by then.
pub struct Cgroup {
    folder: PathBuf,
    mount: PathBuf,
    by: Freezer,
    /// The path from the root of all groups.
    pub path: String,
}

impl Cgroup {
    /// Makes one with a name that is unique in this run.
    pub fn new(name: &str) -> Result<Self> {
        Self::of(Freezer::Unified, name)
    }

    /// Makes one in one of the hierarchies that freeze, likewise.
    pub fn of(by: Freezer, name: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (at, kind, options) = (words.next()?, words.next()?, words.next()?);
            let is_it = match by {
                Freezer::Unified => kind == "cgroup2",
                Freezer::Old => kind == "cgroup" && options.split(',').any(|one| one == "freezer"),
            };
            is_it.then(|| PathBuf::from(at))
        });
        let path = format!("tcptrace-live-{}-{name}", std::process::id());
        let mount = mount.with_context(|| format!("no such hierarchy is mounted: {by:?}"))?;
        Self::make(by, mount.clone(), mount.join(&path), format!("/{path}"))
    }

    /// Makes one below it.
    pub fn below(&self, name: &str) -> Result<Self> {
        let (folder, path) = (self.folder.join(name), format!("{}/{name}", self.path));
        Self::make(self.by, self.mount.clone(), folder, path)
    }

    fn make(by: Freezer, mount: PathBuf, folder: PathBuf, path: String) -> Result<Self> {
        fs::create_dir(&folder).context("cannot make a control group")?;
        Ok(Self {
            folder,
            mount,
            by,
            path,
        })
    }

    /// Freezes it, and waits until it is frozen; until this is dropped.
    pub fn freeze(&self) -> Result<Frozen<'_>> {
        let frozen = Frozen(self);
        let (order, state, word) = match self.by {
            Freezer::Unified => (("cgroup.freeze", "1"), "cgroup.events", "frozen 1"),
            Freezer::Old => (("freezer.state", "FROZEN"), "freezer.state", "FROZEN"),
        };
        fs::write(self.folder.join(order.0), order.1).context("cannot freeze")?;
        let start = Instant::now();
        while !fs::read_to_string(self.folder.join(state))?.contains(word) {
            ensure!(start.elapsed() < patience(), "it does not freeze");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(frozen)
    }

    /// Where the hierarchy is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Moves a process into it.
    pub fn take(&self, pid: u32) -> Result<()> {
        let procs = self.folder.join("cgroup.procs");
        fs::write(procs, pid.to_string()).context("cannot move a process into a control group")
    }
}

/// A frozen control group. It thaws when this is dropped: before, its processes may not even end.
pub struct Frozen<'a>(&'a Cgroup);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let (name, text) = match self.0.by {
            Freezer::Unified => ("cgroup.freeze", "0"),
            Freezer::Old => ("freezer.state", "THAWED"),
        };
        // It fails only for a group that is gone.
        let _ = fs::write(self.0.folder.join(name), text);
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

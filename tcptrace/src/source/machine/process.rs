//! Processes that hold stuck sockets or their listeners, from `/proc`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use procfs::{ProcessCGroup, process::Process};

use crate::{
    model::stuck::look::ProcessInfo,
    source::machine::{
        cgroup,
        clock::{after_boot, awake_ns},
        freezer::Freezer,
        threads::{self, has_ended, living, most_telling},
    },
};

/// The information in `/proc` about the processes; processes that have ended are left out.
#[must_use]
pub fn infos(pids: impl Iterator<Item = u32>) -> HashMap<u32, ProcessInfo> {
    let mut infos = HashMap::new();
    let mut freezer = Freezer::default();
    for pid in pids {
        if let std::collections::hash_map::Entry::Vacant(entry) = infos.entry(pid)
            && let Some(info) = info(pid, &mut freezer)
        {
            entry.insert(info);
        }
    }
    infos
}

/// When a process started, in clock ticks after boot; `None` if it has ended.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    let process = Process::new(pid.cast_signed()).ok()?;
    Some(after_boot(process.stat().ok()?.starttime))
}

/// Whether the process runs that started then, in ns of `CLOCK_BOOTTIME`; without a time, any with this number.
#[must_use]
pub fn runs(pid: u32, started_ns: Option<u64>) -> bool {
    /// `/proc` gives the start in ticks of `USER_HZ`, which is 100 everywhere.
    const TICK_NS: u64 = 10_000_000;
    let close = |ticks: u64, ns: u64| ticks.abs_diff(ns / TICK_NS) <= 1;
    started(pid).is_some_and(|ticks| started_ns.is_none_or(|ns| close(ticks, ns)))
}

/// Whether this process was started with SIGHUP ignored, as `nohup` does.
#[must_use]
pub fn ignores_hang_up() -> bool {
    let status = Process::myself().and_then(|own| own.status());
    status.is_ok_and(|status| status.sigign & 1 != 0)
}

/// Whether two threads have one table of descriptors; `None` if the kernel does not say
/// (`kcmp(2)`: built without it, or not allowed).
#[must_use]
pub fn share_descriptors(thread: i32, other: i32) -> Option<bool> {
    /// `KCMP_FILES` of `include/uapi/linux/kcmp.h`.
    const FILES: libc::c_int = 2;
    // SAFETY: the call takes numbers and compares; it changes nothing.
    match unsafe { libc::syscall(libc::SYS_kcmp, thread, other, FILES, 0, 0) } {
        0 => Some(true),
        1..=3 => Some(false),
        _ => None,
    }
}

/// The path of the process's control group, as [`cgroup::absolute`] gives it.
#[must_use]
pub fn cgroup(pid: u32) -> Option<Arc<str>> {
    let folder = threads::folder(&folder(pid));
    let process = Process::new_with_root(folder).ok()?;
    unified(&process.cgroups().ok()?.0)
}

/// The unified hierarchy has number 0 and no controllers.
fn unified(groups: &[ProcessCGroup]) -> Option<Arc<str>> {
    let group = groups.iter().find(|group| group.hierarchy == 0)?;
    cgroup::absolute(&group.pathname).map(Arc::from)
}

/// Where `/proc` tells about a process; if its first thread has exited, mind [`threads::folder`](super::threads::folder).
#[must_use]
pub fn folder(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn info(pid: u32, freezer: &mut Freezer) -> Option<ProcessInfo> {
    let mut process = Process::new(pid.cast_signed()).ok()?;
    let stat = process.stat().ok()?;
    let mut state = stat.state;
    if has_ended(state) {
        let threads: Vec<_> = living(&folder(pid)).collect();
        state = most_telling(threads.iter().map(|(_, state)| *state)).unwrap_or(state);
        // Groups that the process has been moved to since are those of its other threads.
        if let Some((thread, _)) = threads.into_iter().next() {
            process = Process::new_with_root(thread).unwrap_or(process);
        }
    }
    let groups = process.cgroups().ok().map(|groups| groups.0);
    let groups = groups.as_deref();
    Some(ProcessInfo {
        state,
        frozen: groups.and_then(|groups| freezer.freezes(groups)),
        started: after_boot(stat.starttime),
        began_ns: Some(awake_ns(after_boot(stat.starttime))),
        cgroup: groups.and_then(unified),
        arguments: Vec::new(),
    })
}

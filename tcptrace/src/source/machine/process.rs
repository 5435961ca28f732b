//! Processes that hold stuck sockets or their listeners, from `/proc`.

use std::collections::HashMap;

use procfs::process::Process;

use crate::model::stuck::look::ProcessInfo;

/// The information in `/proc` about the processes; processes that have ended are left out.
#[must_use]
pub fn infos(pids: impl Iterator<Item = u32>) -> HashMap<u32, ProcessInfo> {
    let mut infos = HashMap::new();
    for pid in pids {
        if let std::collections::hash_map::Entry::Vacant(entry) = infos.entry(pid)
            && let Some(info) = info(pid)
        {
            entry.insert(info);
        }
    }
    infos
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

fn info(pid: u32) -> Option<ProcessInfo> {
    let process = Process::new(pid.cast_signed()).ok()?;
    let stat = process.stat().ok()?;
    let groups = process.cgroups().ok();
    // The unified hierarchy has number 0 and no controllers.
    let unified = groups.and_then(|groups| {
        let group = groups.0.into_iter().find(|group| group.hierarchy == 0)?;
        Some(group.pathname)
    });
    Some(ProcessInfo {
        state: stat.state,
        started: stat.starttime,
        cgroup: unified,
        arguments: Vec::new(),
    })
}

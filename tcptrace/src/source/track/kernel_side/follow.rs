//! Which processes are followed, for `--pid` and `--children`.

use std::{collections::HashSet, error::Error};

use aya::{Ebpf, programs::ProgramError};
use procfs::process::all_processes;

use crate::source::{
    bpf::{program::attach_btf, types::TypeInfo},
    error::StartError,
    track::kernel_side::{list::add_to_list, options::TrackOptions},
};

/// Room for followed processes at a time.
pub const MAX_FOLLOWED: u32 = 65_536;

/// Puts the wanted processes on the list, and keeps the list up to date. `nested`: numbers are those of a
/// PID namespace.
///
/// # Errors
/// [`StartError::Follow`].
pub fn follow_processes(
    ebpf: &mut Ebpf,
    types: Option<&TypeInfo>,
    options: &TrackOptions,
    nested: bool,
) -> Result<(), StartError> {
    if options.pids.is_empty() {
        return Ok(());
    }
    let failed = |error: &dyn Error| StartError::Follow {
        reason: error.to_string(),
    };
    add_to_list(ebpf, "PIDS", options.pids.iter().copied()).map_err(|error| failed(&error))?;
    let Some(types) = types.filter(|types| types.has_task_offsets) else {
        if options.children {
            let reason = "no type information".into();
            return Err(StartError::Follow { reason });
        }
        return Ok(());
    };
    attach(ebpf, types, options.children, nested).map_err(|error| failed(&error))?;
    if options.children {
        // The hook sees processes that start in the meantime, but only if their parents are on the
        // list. A second pass finds the children of parents that were not yet on it.
        for _ in 0..2 {
            let found = descendants(&options.pids);
            add_to_list(ebpf, "PIDS", found).map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

/// Follows the processes from here on: removes each one when it ends or, in a PID namespace, when
/// another gets its number; with `children`, adds its descendants.
fn attach(
    ebpf: &mut Ebpf,
    types: &TypeInfo,
    children: bool,
    nested: bool,
) -> Result<(), ProgramError> {
    if !nested {
        attach_btf(ebpf, "process_freed", "sched_process_free", types)?;
    }
    if children || nested {
        attach_btf(ebpf, "process_forked", "sched_process_fork", types)?;
    }
    Ok(())
}

/// The current descendants of the processes.
fn descendants(pids: &[u32]) -> HashSet<u32> {
    let parents: Vec<(u32, u32)> = all_processes()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|process| {
            let stat = process.stat().ok()?;
            Some((stat.pid.cast_unsigned(), stat.ppid.cast_unsigned()))
        })
        .collect();
    descendants_among(pids, &parents)
}

fn descendants_among(pids: &[u32], parents: &[(u32, u32)]) -> HashSet<u32> {
    let mut found: HashSet<u32> = pids.iter().copied().collect();
    loop {
        let before = found.len();
        for (pid, parent) in parents {
            if found.contains(parent) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            break;
        }
    }
    for pid in pids {
        found.remove(pid);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::descendants_among;

    #[test]
    fn children_of_children_are_found_in_any_order() {
        let parents = [(5, 4), (4, 3), (3, 1), (9, 1), (6, 4), (7, 9)];
        let mut found: Vec<_> = descendants_among(&[3], &parents).into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, [4, 5, 6]);
        assert!(descendants_among(&[7], &parents).is_empty());
    }
}

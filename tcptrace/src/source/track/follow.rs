//! Which processes are followed, for `--pid` and `--children`.

use std::collections::HashSet;

use aya::{Ebpf, programs::ProgramError};
use procfs::process::all_processes;

use crate::source::{bpf::load::TypeInfo, track::attach::load_btf};

/// Room for followed processes at a time.
pub const MOST: u32 = 65_536;

/// Follows the processes from here on: none once it is gone and, with `children`, their descendants.
///
/// # Errors
/// When the kernel refuses.
pub fn attach(ebpf: &mut Ebpf, types: &TypeInfo, children: bool) -> Result<(), ProgramError> {
    let mut hook = |name, event| load_btf(ebpf, name, event, types)?.attach().map(drop);
    hook("process_freed", "sched_process_free")?;
    if children {
        hook("process_forked", "sched_process_fork")?;
    }
    Ok(())
}

/// The descendants that the processes have now.
#[must_use]
pub fn descendants(pids: &[u32]) -> HashSet<u32> {
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

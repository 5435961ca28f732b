//! Holders by reading `/proc`: used where no iterator loads, and outside the initial PID namespace,
//! whose process numbers an iterator would give.

use std::{collections::HashSet, io, sync::Arc};

use procfs::{
    ProcError,
    process::{FDTarget, FDsIter, Process, all_processes},
};

use crate::{
    model::{
        owner::{Holder, Via},
        stuck::look::Descriptor,
    },
    source::machine::{process::share_descriptors, threads::has_ended},
};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The holders.
    pub held: Vec<Descriptor>,
    /// Whether some were left out.
    pub incomplete: bool,
}

/// Every descriptor of a socket whose inode is in `inodes`, in one pass over all threads.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn find(inodes: &HashSet<u64>) -> io::Result<Found> {
    let mut found = Found::default();
    // A process that ends in the meantime no longer holds anything.
    for process in all_processes().map_err(io::Error::other)?.flatten() {
        found.add_process(&process, inodes);
    }
    Ok(found)
}

impl Found {
    fn add_process(&mut self, process: &Process, inodes: &HashSet<u64>) {
        let comm = || {
            let stat = process.stat();
            stat.map(|stat| stat.comm).unwrap_or_default()
        };
        let table = process.fd();
        let denied = is_denied(&table);
        let mut add = |table| self.add_table(table, process.pid, None, inodes, &comm);
        let has_some = table.is_ok_and(|table| add(table) > 0);
        let has_ended = || process.stat().is_ok_and(|stat| has_ended(stat.state));
        let first_has_ended = !has_some && has_ended();
        self.incomplete |= denied && !first_has_ended;
        let Ok(threads) = process.tasks() else { return };
        // If the main thread has ended, the others have what was the process's table.
        let mut known = if first_has_ended {
            Vec::new()
        } else {
            vec![process.pid]
        };
        for thread in threads.flatten() {
            if (known.iter()).any(|other| share_descriptors(*other, thread.tid) != Some(false)) {
                continue;
            }
            known.push(thread.tid);
            let folder = format!("/proc/{}/task/{}", process.pid, thread.tid);
            if let Ok(own) = Process::new_with_root(folder.into()) {
                let table = own.fd();
                self.incomplete |= is_denied(&table);
                if let Ok(table) = table {
                    self.add_table(table, process.pid, Some(thread.tid), inodes, &comm);
                }
            }
        }
    }

    /// Adds a table's descriptors; returns how many it has.
    fn add_table(
        &mut self,
        table: FDsIter,
        pid: i32,
        tid: Option<i32>,
        inodes: &HashSet<u64>,
        comm: &dyn Fn() -> String,
    ) -> usize {
        let mut name: Option<Arc<str>> = None;
        let mut all = 0;
        for descriptor in table.flatten() {
            all += 1;
            let FDTarget::Socket(inode) = descriptor.target else {
                continue;
            };
            if !inodes.contains(&inode) {
                continue;
            }
            self.held.push(Descriptor {
                inode,
                holder: Holder {
                    pid: pid.cast_unsigned(),
                    tid: tid.map(i32::cast_unsigned),
                    fd: Some(descriptor.fd.cast_unsigned()),
                    via: Via::Descriptor,
                    comm: Arc::clone(name.get_or_insert_with(|| comm().into())),
                },
            });
        }
        all
    }
}

fn is_denied(table: &Result<FDsIter, ProcError>) -> bool {
    matches!(table, Err(ProcError::PermissionDenied(_)))
}

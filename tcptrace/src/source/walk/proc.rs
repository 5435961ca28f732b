//! Holders by reading `/proc/*/fd`. This is used if no iterator loads, or outside the initial PID
//! namespace, whose process ids an iterator would return.

use std::{collections::HashSet, io};

use procfs::process::{FDTarget, all_processes};

use crate::{
    model::{owner::Holder, stuck::look::Descriptor},
    source::walk::iterator::Found,
};

/// Every descriptor of a socket whose inode is in `inodes`, in one pass over all processes.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn find(inodes: &HashSet<u64>) -> io::Result<Found> {
    let mut found = Found::default();
    // A process that ends in the meantime no longer holds anything.
    for process in all_processes().map_err(io::Error::other)?.flatten() {
        let descriptors = match process.fd() {
            Ok(descriptors) => descriptors,
            Err(procfs::ProcError::PermissionDenied(_)) => {
                found.incomplete = true;
                continue;
            }
            Err(_) => continue,
        };
        let mut comm = None;
        for descriptor in descriptors.flatten() {
            let FDTarget::Socket(inode) = descriptor.target else {
                continue;
            };
            if !inodes.contains(&inode) {
                continue;
            }
            let comm = comm.get_or_insert_with(|| {
                let stat = process.stat();
                stat.map(|stat| stat.comm).unwrap_or_default()
            });
            found.held.push(Descriptor {
                inode,
                holder: Holder {
                    pid: process.pid.cast_unsigned(),
                    fd: descriptor.fd.cast_unsigned(),
                    comm: comm.clone(),
                },
                backlog: None,
            });
        }
    }
    Ok(found)
}

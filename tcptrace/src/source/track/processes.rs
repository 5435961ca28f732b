//! Processes in the model's types. The same few processes occur again and again, so the last ones
//! are kept: making their texts again would take longer than the rest of a record.

use std::sync::Arc;

use tcptrace_common::OwnerRecord;

use crate::{
    model::owner::{KnownBy, Owner, Process},
    source::track::groups::Groups,
};

/// How many processes are kept.
const SLOTS: usize = 512;

/// The last owners and callers.
#[derive(Debug)]
pub struct Processes {
    owners: Vec<Option<(OwnerRecord, Owner)>>,
    callers: Vec<Option<(OwnerRecord, Process)>>,
    groups: Groups,
}

fn slot(raw: &OwnerRecord) -> usize {
    (raw.tid.wrapping_add(raw.pid.wrapping_mul(31)) as usize + raw.known_by as usize * 97) % SLOTS
}

impl Default for Processes {
    /// Without the paths of control groups.
    fn default() -> Self {
        Self::new(false)
    }
}

impl Processes {
    /// None yet. `with_groups`: whether anybody needs the paths of control groups.
    #[must_use]
    pub fn new(with_groups: bool) -> Self {
        Self {
            owners: vec![None; SLOTS],
            callers: vec![None; SLOTS],
            groups: Groups::new(with_groups),
        }
    }

    /// The owner of a socket, from what the kernel side knows; `None` if it knows nothing.
    pub fn owner(&mut self, raw: &OwnerRecord) -> Option<Owner> {
        let known_by = match raw.known_by {
            OwnerRecord::CONNECT => KnownBy::Connect,
            OwnerRecord::ACCEPT => KnownBy::Accept,
            OwnerRecord::LISTEN => KnownBy::Listen,
            OwnerRecord::LISTENER => KnownBy::Listener,
            OwnerRecord::FD => KnownBy::Fd,
            OwnerRecord::CALL => KnownBy::Call,
            _ => return None,
        };
        let kept = &mut self.owners[slot(raw)];
        if let Some((key, owner)) = kept
            && key == raw
            // Perhaps it is known by now.
            && (owner.cgroup.is_some() || raw.cgroup == 0 || !self.groups.are_wanted())
        {
            return Some(owner.clone());
        }
        let cgroup = nonzero(raw.cgroup).and_then(|id| self.groups.path(id));
        let owner = Owner {
            process: Process {
                pid: nonzero(raw.pid),
                tid: nonzero(raw.tid),
                comm: decode_comm(raw.comm),
                started_ns: nonzero(raw.started_ns),
            },
            known_by,
            cgroup,
        };
        *kept = Some((*raw, owner.clone()));
        Some(owner)
    }

    /// Paths of control groups, which must be asked for before the owners in them.
    pub fn groups(&mut self) -> &mut Groups {
        &mut self.groups
    }

    /// A process that made a call.
    pub fn caller(&mut self, pid: u32, tid: u32, comm: [u64; 2]) -> Option<Process> {
        if (pid, comm) == (0, [0; 2]) {
            return None;
        }
        let raw = OwnerRecord {
            pid,
            tid,
            comm,
            ..OwnerRecord::default()
        };
        let kept = &mut self.callers[slot(&raw)];
        if let Some((key, process)) = kept
            && *key == raw
        {
            return Some(process.clone());
        }
        let process = Process {
            pid: nonzero(pid),
            tid: nonzero(tid),
            comm: decode_comm(comm),
            started_ns: None,
        };
        *kept = Some((raw, process.clone()));
        Some(process)
    }
}

/// 0 means unknown.
pub fn nonzero<T: Default + PartialEq>(number: T) -> Option<T> {
    Some(number).filter(|number| *number != T::default())
}

/// A name up to its NUL.
pub fn decode_comm(words: [u64; 2]) -> Arc<str> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&words[1].to_ne_bytes());
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pid: u32, comm: &[u8; 8]) -> OwnerRecord {
        OwnerRecord {
            pid,
            tid: pid,
            comm: [u64::from_ne_bytes(*comm), 0],
            known_by: OwnerRecord::CONNECT,
            ..OwnerRecord::default()
        }
    }

    #[test]
    fn what_is_kept_is_told_apart() {
        let mut processes = Processes::default();
        // So many more that two processes share a slot.
        let other = u32::try_from(SLOTS).expect("small") + 7;
        for _ in 0..2 {
            for (pid, comm) in [
                (7, b"java\0\0\0\0"),
                (other, b"nginx\0\0\0"),
                (7, b"exec\0\0\0\0"),
            ] {
                let owner = processes.owner(&raw(pid, comm)).expect("it is known");
                let text = comm.split(|byte| *byte == 0).next().unwrap_or_default();
                assert_eq!(owner.process.pid, Some(pid));
                assert_eq!(owner.process.comm.as_bytes(), text);
                let caller = processes
                    .caller(pid, pid, raw(pid, comm).comm)
                    .expect("it is known");
                assert_eq!(caller.comm.as_bytes(), text);
            }
        }
        assert_eq!(processes.owner(&OwnerRecord::default()), None);
        assert_eq!(processes.caller(0, 0, [0; 2]), None);
    }
}

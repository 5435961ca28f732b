//! Rows of the table of groups: processes of one program with the same fault are one entry.

use std::cmp::Reverse;

use crate::model::{
    cause::Diagnosis,
    stuck::{
        group::{Ends, Group, Passage, RecvQueues},
        snapshot::Snapshot,
    },
};

/// One or several groups.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The largest first.
    pub groups: Vec<&'a Group>,
}

impl<'a> Entry<'a> {
    /// The largest group.
    pub fn first(&self) -> &'a Group {
        self.groups[0]
    }

    /// Of a single group that one.
    pub fn only(&self) -> Option<&'a Group> {
        match self.groups[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Why they are stuck.
    pub fn diagnosis(&self) -> Option<&'a Diagnosis> {
        self.first().diagnosis.as_deref()
    }

    /// How many sockets of them have this.
    pub fn count(&self, of: impl Fn(&Group) -> usize) -> usize {
        self.groups.iter().map(|group| of(group)).sum()
    }

    /// All sockets.
    pub fn sockets(&self) -> usize {
        self.count(|group| group.sockets)
    }

    /// How many are residue.
    pub fn residue(&self) -> usize {
        let of = |group: &Group| group.diagnosis.as_ref().map_or(0, |one| one.beside.residue);
        self.count(of)
    }

    /// The group with the oldest socket.
    pub fn oldest(&self) -> &'a Group {
        let oldest = self.groups.iter().min_by_key(|one| one.oldest.moment_ns());
        oldest.copied().unwrap_or(self.first())
    }

    /// How unread bytes are spread.
    pub fn recv_queues(&self) -> RecvQueues {
        let sum = |of: fn(&RecvQueues) -> usize| self.count(|group| of(&group.recv_queues));
        RecvQueues {
            zero: sum(|queues| queues.zero),
            one: sum(|queues| queues.one),
            more: sum(|queues| queues.more),
            unknown: sum(|queues| queues.unknown),
        }
    }

    /// How many came and went.
    pub fn passage(&self) -> Option<Passage> {
        let sum = |all: Passage, one: Passage| Passage {
            entered: all.entered + one.entered,
            left: all.left + one.left,
        };
        let all = self.groups.iter().map(|group| group.passage);
        all.collect::<Option<Vec<_>>>()
            .map(|all| all.into_iter().fold(Passage::default(), sum))
    }

    /// What their ends have in common.
    pub fn ends(&self) -> Ends {
        let ends = self.groups.iter().map(|group| group.ends);
        ends.reduce(common).unwrap_or(self.first().ends)
    }
}

/// What both have in common, which have the same remote or the same port.
fn common(one: Ends, other: Ends) -> Ends {
    match (one, other) {
        (
            Ends::At {
                port,
                address,
                from,
            },
            Ends::At {
                address: address_2,
                from: from_2,
                ..
            },
        ) => Ends::At {
            port,
            address: address.filter(|_| address == address_2),
            from: from.filter(|_| from == from_2),
        },
        _ => one,
    }
}

/// The entries, in the order of their largest groups; where that is by size, those that are larger together come
/// before it, but not before what they follow from.
pub fn entries(snapshot: &Snapshot) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for group in &snapshot.groups {
        let same = entries
            .iter_mut()
            .find(|entry| is_same(entry.first(), group));
        match same {
            Some(entry) => entry.groups.push(group),
            None => entries.push(Entry {
                groups: vec![group],
            }),
        }
    }
    let causes = |group: &&Group| {
        let diagnosis = group.diagnosis.as_deref();
        diagnosis.is_none_or(|one| one.follows_from.is_none())
    };
    let sizes = (snapshot.groups.iter())
        .filter(causes)
        .map(|group| Reverse(group.sockets));
    if entries.len() < snapshot.groups.len() && sizes.is_sorted() {
        by_size(entries)
    } else {
        entries
    }
}

fn by_size(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    let mut sorted: Vec<Entry<'_>> = Vec::new();
    for entry in entries {
        let from = entry.diagnosis().and_then(|one| one.follows_from);
        let after = from.and_then(|from| {
            let is_cause = |other: &Entry<'_>| {
                let mut groups = other.groups.iter();
                groups.any(|group| group.is(&from))
            };
            sorted.iter().position(is_cause)
        });
        let least = after.map_or(0, |at| at + 1);
        let smaller = |other: &Entry<'_>| other.sockets() < entry.sockets();
        let at = sorted[least..].iter().position(smaller);
        sorted.insert(at.map_or(sorted.len(), |at| least + at), entry);
    }
    sorted
}

/// Whether both are of one program, with the same connections and the same fault.
fn is_same(one: &Group, other: &Group) -> bool {
    let comm = |group: &Group| group.owner.as_ref().map(|owner| owner.comm.clone());
    let (Some(of_one), Some(of_other)) = (one.diagnosis.as_deref(), other.diagnosis.as_deref())
    else {
        return false;
    };
    let fault = |diagnosis: &Diagnosis| {
        let causes = diagnosis.causes.iter().map(|cause| cause.name);
        let causes: Vec<_> = causes.collect();
        (diagnosis.leak, causes, diagnosis.follows_from)
    };
    comm(one).is_some()
        && comm(one) == comm(other)
        && (one.role, one.netns, one.ends.place()) == (other.role, other.netns, other.ends.place())
        && !of_one.causes.is_empty()
        && fault(of_one) == fault(of_other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{busy_look, snapshot},
        model::stuck::group::ProcessName,
        view::stuck::fixtures::{diagnose, leased, untold},
    };

    fn pids(snapshot: &Snapshot) -> Vec<Vec<u32>> {
        let pid = |group: &&Group| group.owner.as_ref().expect("it has one").pid;
        let entries = entries(snapshot);
        let pids = entries
            .iter()
            .map(|entry| entry.groups.iter().map(pid).collect());
        pids.collect()
    }

    #[test]
    fn children_with_one_fault_are_one_entry_and_the_larger_comes_first() {
        let mut snapshot = snapshot(busy_look());
        diagnose(&mut snapshot);
        let child = |pid, sockets, diagnosis| {
            let mut child = snapshot.groups[1].clone();
            child.owner = Some(ProcessName {
                pid,
                comm: "sleep".into(),
            });
            (child.sockets, child.diagnosis) = (sockets, Some(Box::new(diagnosis)));
            child
        };
        let children = [
            child(20, 10, leased()),
            child(21, 10, leased()),
            child(22, 10, untold()),
            child(23, 10, untold()),
        ];
        snapshot.groups[0].sockets = 15;
        snapshot.groups.truncate(1);
        snapshot.groups.extend(children);
        let all = [vec![20, 21], vec![4242], vec![22], vec![23]];
        assert_eq!(pids(&snapshot), all);
        // Two are the same only where the fault is known.
        let first = entries(&snapshot);
        assert_eq!(first[0].sockets(), 20);
        // In another order they stay where they are.
        snapshot.groups.swap(0, 4);
        assert_eq!(pids(&snapshot)[0], [23]);
    }
}

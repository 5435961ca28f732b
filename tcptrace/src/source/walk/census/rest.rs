//! What no descriptor leads to: `sock_diag` is asked where the kernel counts more than was found.

use std::collections::HashSet;

use tcptrace_common::TcpState;

use super::{
    CLOSED, Look, OPEN, Place,
    walked::{Walked, place_of},
};
use crate::{
    model::{
        socket::Role,
        states::member::{Holders, Kind, Member, NoSocket},
    },
    source::{
        machine::netns::Namespace,
        walk::{
            count::{self, Counts},
            run::Counted,
            walker::KernelWalk,
        },
    },
};

impl Look<'_> {
    /// Gives on what a namespace has and the walk has not found.
    pub fn rest(
        &mut self,
        kernel: &KernelWalk,
        walked: &Walked,
        records: usize,
        namespace: &Namespace,
        counts: Counts,
    ) {
        let found = walked
            .counted
            .get(&namespace.inode)
            .map_or(0, Counted::open);
        let is_short = |found: u64| {
            let after = || count::of(namespace).map_or(u64::MAX, |after| after.in_use);
            counts.in_use > found && after() > found
        };
        let (mut remainders, mut more) = (0, 0);
        let has_closed = counts.time_wait > 0 || is_short(found) && count::orphans() > 0;
        if has_closed {
            let mut states = CLOSED.to_vec();
            if self.wanted.with_ends {
                states.push(TcpState::TimeWait);
            }
            let answers = self.ask(namespace, &states);
            remainders = self.no_sockets(&answers);
            more = self.nobodys(&answers, &[&walked.closing, &walked.mptcp]);
        }
        let waits = counts.time_wait.saturating_sub(remainders);
        if waits > 0 && !self.wanted.with_ends {
            let member = unknown_ends(namespace.inode, NoSocket::TimeWait, waits);
            (self.each)(member, None);
        }
        if !is_short(found + more) && !self.wanted.with_ends {
            return;
        }
        let known = all_places(kernel, records, namespace.inode);
        let known = [&known, &walked.mptcp, &walked.waiting];
        // Listeners are in a small table of their own.
        if is_short(found + more) {
            let answers = self.ask(namespace, &[TcpState::Listen]);
            more += self.nobodys(&answers, &known);
        }
        let states: &[TcpState] = match is_short(found + more) {
            true => &OPEN,
            false if self.wanted.with_ends => &[TcpState::SynRecv],
            false => return,
        };
        let answers = self.ask(namespace, states);
        self.nobodys(&answers, &known);
    }
}

/// Where the sockets are that the walk found in a namespace.
fn all_places(kernel: &KernelWalk, records: usize, netns: u32) -> HashSet<Place> {
    let all = (0..records).filter_map(|index| kernel.brief(index));
    all.filter(|record| record.netns == netns)
        .filter_map(|record| place_of(&record))
        .collect()
}

/// Things of which only the number is known.
fn unknown_ends(netns: u32, kind: NoSocket, count: u64) -> Member {
    Member {
        kind: Kind::NoSocket(kind),
        count,
        residue: false,
        netns,
        family: None,
        local: None,
        remote: None,
        role: Role::Unknown,
        holders: Holders::default(),
        cgroup: None,
        other_cgroups: Vec::new(),
        queued: 0,
    }
}

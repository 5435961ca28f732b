//! Everything where no walk loads.

use std::{collections::HashSet, sync::Arc};

use tcptrace_common::TcpState;

use super::{CLOSED, Look, OPEN};
use crate::{
    model::{
        caveat::Caveat,
        states::member::{Holders, Member, NamedProcess},
        stuck::look::{Descriptors, Listening},
    },
    source::{
        diag::ask,
        walk::{places::Before, proc, walker::ProcWalk},
    },
};

impl Look<'_> {
    /// Everything by `sock_diag` and `/proc`.
    pub fn by_proc(&mut self, walk: &mut ProcWalk, mut before: Before) {
        let scope = &self.wanted.scope;
        walk.search.add_hidden_unwalked(scope, &mut before);
        let mut states = [CLOSED.as_slice(), OPEN.as_slice()].concat();
        states.extend([TcpState::Listen, TcpState::TimeWait]);
        let answers = ask::in_states(scope, &states, &before.namespaces);
        self.caveats.extend(answers.caveats.iter().cloned());
        self.caveats.push(Caveat::ResidueNotLookedFor);
        self.no_sockets(&answers);
        let inodes = answers.listed.iter().map(|one| one.details.inode.into());
        let inodes: HashSet<u64> = inodes.collect();
        let held = match proc::find(&inodes) {
            Ok(found) => Descriptors::new(found.held),
            Err(error) => {
                (self.caveats).push(Caveat::UnknownHolders(error.to_string()));
                Descriptors::default()
            }
        };
        for socket in &answers.listed {
            let mut named: Vec<NamedProcess> = (held.of(socket.details.inode).iter())
                .map(|one| (one.holder.pid, Arc::clone(&one.holder.comm)))
                .collect();
            named.dedup();
            let is_held = socket.details.inode != 0;
            let named_any = !named.is_empty();
            let mut named = named.into_iter();
            let holders = Holders {
                first: named.next(),
                others: named.collect(),
                are_candidates: false,
                are_unknown: is_held && !named_any,
            };
            let mut listeners = answers.listening.iter();
            let same = |one: &&Listening| one.inode == socket.details.inode;
            let queued = match socket.state {
                TcpState::Listen => listeners.find(same).map_or(0, |one| one.queued),
                _ => 0,
            };
            let member = Member {
                queued: queued.into(),
                ..self.listed(socket, holders)
            };
            (self.each)(member, Some(socket));
        }
    }
}

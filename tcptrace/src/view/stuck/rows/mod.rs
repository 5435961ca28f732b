//! What the table of groups has a row for: groups, and residue of which no other socket is stuck.

pub mod entries;

use crate::{
    model::{
        cause::Leak,
        stuck::{group::Group, residue::Residue, snapshot::Snapshot},
    },
    view::stuck::{
        residue::{Dead, by_holder},
        rows::entries::{Entry, entries},
    },
};

/// What has died so shortly ago may be closed yet.
const PATIENCE_NS: u64 = 60_000_000_000;

/// A row of the table of groups.
pub enum Row<'a> {
    /// Stuck sockets, and the residue beside them.
    Stuck(Entry<'a>, Vec<&'a Residue>),
    /// Residue alone.
    Dead(Dead<'a>, Leak),
}

impl Row<'_> {
    /// Whether it is a leak; `None` if that was not asked.
    pub fn leak(&self) -> Option<Leak> {
        match self {
            Self::Stuck(entry, _) => entry.diagnosis().map(|diagnosis| diagnosis.leak),
            Self::Dead(_, leak) => Some(*leak),
        }
    }

    /// Whether it follows from another one.
    pub fn follows(&self) -> bool {
        match self {
            Self::Stuck(entry, _) => {
                let diagnosis = entry.diagnosis();
                diagnosis.is_some_and(|diagnosis| diagnosis.follows_from.is_some())
            }
            Self::Dead(..) => false,
        }
    }
}

/// The rows: what is stuck comes first.
pub fn rows(snapshot: &Snapshot) -> Vec<Row<'_>> {
    let entries = entries(snapshot);
    let mut dead = by_holder(snapshot.residue.as_deref().unwrap_or_default());
    let stuck: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let is_beside = |one: &Dead<'_>| (entry.groups.iter()).any(|group| belongs(one, group));
            let beside = dead.extract_if(.., |one| is_beside(one));
            let beside: Vec<_> = beside.flat_map(|one| one.all).collect();
            Row::Stuck(entry, beside)
        })
        .collect();
    let alone = dead.into_iter().map(|one| {
        let last_ns = one.all.iter().map(|one| one.died_ns).max().flatten();
        let for_long =
            last_ns.is_some_and(|ns| snapshot.monotonic_ns.saturating_sub(ns) >= PATIENCE_NS);
        let leak = match for_long {
            true => Leak::Yes,
            false => Leak::Unknown,
        };
        Row::Dead(one, leak)
    });
    stuck.into_iter().chain(alone).collect()
}

/// Whether residue is of the process of a group, with the same remote or the same port.
fn belongs(dead: &Dead<'_>, group: &Group) -> bool {
    let (Some((pid, _)), Some(owner)) = (dead.holder, &group.owner) else {
        return false;
    };
    let same_ends = |one: &&Residue| group.ends.are_of(one.local, one.remote);
    pid == owner.pid && dead.all.iter().all(same_ends)
}

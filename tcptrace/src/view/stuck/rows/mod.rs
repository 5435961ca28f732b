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

/// A row of the table of groups.
pub enum Row<'a> {
    /// Stuck sockets, and the residue beside them.
    Stuck(Entry<'a>, Vec<&'a Residue>),
    /// Residue alone of which it is not known that it was in the state: it has no group. A pool that nobody uses keeps
    /// its dead connections, too.
    Dead(Dead<'a>),
}

impl Row<'_> {
    /// Whether it is a leak; `None` if that was not asked.
    pub fn leak(&self) -> Option<Leak> {
        match self {
            Self::Stuck(entry, _) => entry.diagnosis().map(|diagnosis| diagnosis.leak),
            Self::Dead(_) => Some(Leak::Unknown),
        }
    }

    /// Whether it follows from another one.
    pub fn follows(&self) -> bool {
        match self {
            Self::Stuck(entry, _) => {
                let diagnosis = entry.diagnosis();
                diagnosis.is_some_and(|diagnosis| diagnosis.follows_from.is_some())
            }
            Self::Dead(_) => false,
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
    stuck
        .into_iter()
        .chain(dead.into_iter().map(Row::Dead))
        .collect()
}

/// Whether residue is of the process of a group, with the same remote or the same port.
fn belongs(dead: &Dead<'_>, group: &Group) -> bool {
    let (Some((pid, _)), Some(owner)) = (dead.holder, &group.owner) else {
        return false;
    };
    let same_ends = |one: &&Residue| group.ends.are_of(one.local, one.remote);
    pid == owner.pid && dead.all.iter().all(same_ends)
}

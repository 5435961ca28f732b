//! The summary of a whole session.

use std::{collections::HashMap, time::SystemTime};

use crate::model::{
    cause::causes_first,
    socket::Endpoint,
    stuck::{
        group::{Group, Passage, ProcessName},
        snapshot::Snapshot,
    },
};

/// Groups that are remembered.
const MOST_GROUPS: usize = 1000;

/// What the session has seen of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOfSession {
    /// As it was at the last look that showed it.
    pub group: Group,
    /// How many of its sockets were listed at the last look.
    pub still: usize,
    /// How many came and went.
    pub passage: Passage,
    /// The most of its sockets that were listed at once.
    pub most: usize,
    /// The longest time in the state, in ns, and the most that it can be.
    pub longest: (u64, Option<u64>),
}

/// Which group: whose, where, and towards whom, or at which port.
type Key = (
    Option<ProcessName>,
    Vec<ProcessName>,
    Option<u32>,
    &'static str,
    Result<Endpoint, u16>,
);

fn key(group: &Group) -> Key {
    (
        group.owner.clone(),
        group.candidates.clone(),
        group.netns,
        group.role.name(),
        group.ends.place(),
    )
}

/// The session so far. All of it is about sockets that pass the filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// The most sockets that were stuck at one look.
    pub most_at_once: usize,
    /// The longest time in the state that was seen, in ns, and the most that it can be.
    pub longest: Option<(u64, Option<u64>)>,
    /// Sockets seen to enter the state.
    pub entered: u64,
    /// Sockets that were in it before.
    pub found: u64,
    /// Sockets that left it.
    pub left: u64,
    /// Whether more may have entered and left, between two looks.
    pub at_least: bool,
    /// Sockets stuck at the last look.
    pub still_stuck: usize,
    /// Sockets that may have been, too.
    pub still_may_be: usize,
    /// Sockets that entered but did not fit into the map; of those that pass the whole filter it is not
    /// known if [`Self::at_least`].
    pub lost: u64,
    /// Residue at the last look.
    pub residue: usize,
    /// Those of them that were in `CLOSE_WAIT` when they died, since the first look: they left it, and nobody has
    /// closed them.
    pub residue_of_session: usize,
    /// The moment of the first look, in ns of `CLOCK_MONOTONIC`.
    pub began_ns: u64,
    /// The wall-clock times of the first look and of the last.
    pub times: Option<(SystemTime, SystemTime)>,
    /// The groups.
    groups: HashMap<Key, GroupOfSession>,
    /// Looks taken.
    pub looks: u64,
}

impl SessionSummary {
    /// Adds the result of a look.
    pub fn add(&mut self, snapshot: &Snapshot) {
        if self.looks == 0 {
            self.began_ns = snapshot.monotonic_ns;
        }
        self.looks += 1;
        self.most_at_once = self.most_at_once.max(snapshot.stuck());
        self.still_stuck = snapshot.stuck();
        self.still_may_be = snapshot.may_be();
        let residue = snapshot.residue.as_deref().unwrap_or_default();
        self.residue = residue.len();
        let died_stuck = residue.iter().filter(|one| {
            one.was_close_wait == Some(true) && one.died_ns.is_some_and(|ns| ns >= self.began_ns)
        });
        self.residue_of_session = died_stuck.count();
        if let Some(now) = snapshot.time {
            let (first, _) = self.times.unwrap_or((now, now));
            self.times = Some((first, now));
        }
        self.add_groups(snapshot);
        let ages = snapshot.sockets.iter().map(|socket| {
            (
                socket.age_ns(snapshot.monotonic_ns),
                socket.age_at_most_ns(snapshot.monotonic_ns),
            )
        });
        self.longest = self.longest.max(ages.max());
        self.found = snapshot.flow.found;
        (self.entered, self.left, self.at_least) = snapshot.came_and_went();
        self.lost = snapshot.tracing.lost;
    }

    fn add_groups(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.groups);
        for group in &snapshot.groups {
            let key = key(group);
            let age_ns = (snapshot.monotonic_ns).saturating_sub(group.oldest.moment_ns());
            let age = (age_ns, group.oldest_at_most_ns);
            let old = before.remove(&key);
            let (most, longest) = old.map_or((0, age), |old| (old.most, old.longest));
            let seen = GroupOfSession {
                group: group.clone(),
                still: group.sockets,
                passage: group.passage.unwrap_or_default(),
                most: most.max(group.sockets),
                longest: longest.max(age),
            };
            self.groups.insert(key, seen);
        }
        // Those that have gone; the smallest are forgotten first.
        let room = MOST_GROUPS.saturating_sub(self.groups.len());
        let mut gone: Vec<_> = before.into_iter().collect();
        gone.sort_by_key(|(_, one)| usize::MAX - one.most);
        for (key, mut one) in gone.into_iter().take(room) {
            one.passage.left += std::mem::take(&mut one.still);
            self.groups.insert(key, one);
        }
    }

    /// The groups: those with most sockets at the last look first, but a cause before what follows from it.
    #[must_use]
    pub fn groups(&self) -> Vec<&GroupOfSession> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|(key_a, a), (key_b, b)| {
            let size = |one: &GroupOfSession| (one.still, one.most);
            (size(b).cmp(&size(a)))
                .then_with(|| a.group.oldest.moment_ns().cmp(&b.group.oldest.moment_ns()))
                .then_with(|| key_a.cmp(key_b))
        });
        let groups: Vec<_> = groups.into_iter().map(|(_, one)| one).collect();
        let follows_from: Vec<_> = (groups.iter())
            .map(|one| {
                let from = one.group.diagnosis.as_ref()?.follows_from?;
                (groups.iter()).position(|other| other.group.is(&from))
            })
            .collect();
        causes_first(&follows_from)
            .into_iter()
            .map(|at| groups[at])
            .collect()
    }
}

//! The summary of a whole session.

use crate::model::stuck::{group::Group, look::Tracing, snapshot::Snapshot};

/// Groups that the summary names.
pub const MOST_GROUPS: usize = 20;

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
    /// The first groups of the last look, at most [`MOST_GROUPS`].
    pub groups: Vec<Group>,
    /// How many more there were.
    pub more_groups: usize,
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
        self.groups = snapshot.groups.iter().take(MOST_GROUPS).cloned().collect();
        self.more_groups = snapshot.groups.len() - self.groups.len();
        let ages = snapshot.sockets.iter().map(|socket| {
            (
                socket.age_ns(snapshot.monotonic_ns),
                socket.age_at_most_ns(snapshot.monotonic_ns),
            )
        });
        self.longest = self.longest.max(ages.max());
        let (flow, tracing) = (snapshot.flow, &snapshot.tracing);
        self.found = flow.found;
        self.at_least = !tracing.filtered;
        (self.entered, self.left) = if tracing.filtered {
            let Tracing {
                entered,
                lost,
                left,
                ..
            } = tracing;
            (entered + lost, left + flow.left_unseen)
        } else {
            (flow.entered, flow.left)
        };
        self.lost = tracing.lost;
    }
}

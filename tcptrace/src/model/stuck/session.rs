//! The summary of a whole session.

use crate::model::stuck::snapshot::Snapshot;

/// The session so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// The most sockets that were stuck at one look.
    pub most_at_once: usize,
    /// The longest time in the state that was seen, in ns, and whether it is exact.
    pub longest: Option<(u64, bool)>,
    /// Sockets seen to enter the state.
    pub entered: u64,
    /// Sockets that were in it before.
    pub found: u64,
    /// Sockets that left it.
    pub left: u64,
    /// Sockets stuck at the last look.
    pub still_stuck: usize,
    /// Sockets that entered but did not fit into the map.
    pub lost: u64,
    /// Looks taken.
    pub looks: u64,
}

impl SessionSummary {
    /// Adds the result of a look. `found`: sockets that were in the state before the start;
    /// `left_unseen`: those of them that have left it.
    pub fn add(&mut self, snapshot: &Snapshot, found: u64, left_unseen: u64) {
        self.looks += 1;
        self.most_at_once = self.most_at_once.max(snapshot.sockets.len());
        self.still_stuck = snapshot.sockets.len();
        if let Some(oldest) = snapshot.sockets.first() {
            let seen = (
                oldest.age_ns(snapshot.monotonic_ns),
                oldest.since.is_exact(),
            );
            if self.longest.is_none_or(|(age, _)| seen.0 >= age) {
                self.longest = Some(seen);
            }
        }
        self.entered = snapshot.tracing.entered;
        self.found = found;
        self.left = snapshot.tracing.left + left_unseen;
        self.lost = snapshot.tracing.lost;
    }
}

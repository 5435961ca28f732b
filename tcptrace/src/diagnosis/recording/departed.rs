//! Sockets that left recently. A late, out-of-order record about such a socket must not bring it
//! back.

use std::collections::{HashMap, VecDeque};

use crate::diagnosis::recording::socket_key::SocketKey;

/// Records of different processors may be out of order by less than this, in ns.
pub const REORDERING_NS: u64 = 1_000_000_000;

/// How many are remembered at most. Where more leave within that time, a socket of which a late record tells is in
/// doubt.
const MOST: usize = 1 << 15;

/// Remembers these sockets for as long as records may be out of order.
#[derive(Debug, Default)]
pub struct Departed {
    when: HashMap<SocketKey, u64>,
    queue: VecDeque<(u64, SocketKey)>,
    /// The latest moment at which a socket left that was forgotten too early.
    forgotten_ns: u64,
}

impl Departed {
    /// Records that a socket left at `at_ns`; the log is at `now_ns`.
    pub fn add(&mut self, key: SocketKey, at_ns: u64, now_ns: u64) {
        let latest = self.when.entry(key).or_insert(at_ns);
        *latest = at_ns.max(*latest);
        self.queue.push_back((now_ns, key));
        let old = |told_ns: u64| now_ns.saturating_sub(told_ns) > REORDERING_NS;
        while let Some((told_ns, key)) = self.queue.front().copied()
            && (old(told_ns) || self.queue.len() > MOST)
        {
            self.queue.pop_front();
            let Some(at_ns) = self.when.get(&key).copied() else {
                continue;
            };
            if old(at_ns) {
                self.when.remove(&key);
            } else if !old(told_ns) {
                self.when.remove(&key);
                self.forgotten_ns = self.forgotten_ns.max(at_ns);
            }
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        self.when.len().max(self.queue.len())
    }

    /// Whether a socket of which nothing is known may have left after `at_ns`.
    #[must_use]
    pub fn may_be_after(&self, at_ns: u64) -> bool {
        at_ns < self.forgotten_ns
    }

    /// Whether the socket is known to have left after `at_ns`.
    #[must_use]
    pub fn after(&self, key: &SocketKey, at_ns: u64) -> bool {
        self.when.get(key).is_some_and(|left_ns| *left_ns > at_ns)
    }
}

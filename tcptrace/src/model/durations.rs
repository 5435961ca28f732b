//! How long sockets stay in each state, by what is asked for.

use std::collections::{HashMap, HashSet};

use tcptrace_common::{Decade, TcpState};

use super::{
    histogram::Histogram,
    key::{Described, Key, Part},
    socket::Since,
    transition::{Spent, Transition},
};

/// What to count, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The states, in the order in which they are shown.
    pub states: Vec<TcpState>,
    /// What they are split by.
    pub by: Vec<Part>,
    /// How many keys there may be; what has another one counts as the rest.
    pub max_keys: usize,
}

impl Asked {
    /// Whether the end of a stay in a state counts. A socket that comes in at a listener was never
    /// in that one's state.
    #[must_use]
    pub fn counts(&self, from: TcpState, to: TcpState) -> bool {
        let came_in = from == TcpState::Listen && to == TcpState::SynRecv;
        self.states.contains(&from) && !came_in
    }
}

/// Durations in one state, of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Stays that were seen from their beginning to their end.
    pub finished: Histogram,
    /// Those that began before anybody watched: so long at least.
    pub at_least: Histogram,
    /// Those of which nothing tells how long they were.
    pub unknown: u64,
    /// How long those have lasted that have not ended.
    pub open: Histogram,
    /// The same for those that began before: so long at least.
    pub open_at_least: Histogram,
}

impl Spread {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unknown == 0
            && [
                &self.at_least,
                &self.open_at_least,
                &self.finished,
                &self.open,
            ]
            .iter()
            .all(|histogram| histogram.count() == 0)
    }

    /// How long all sockets together have been in the state, in ns, as far as it is known.
    #[must_use]
    pub fn total_ns(&self) -> u128 {
        [
            &self.at_least,
            &self.open_at_least,
            &self.finished,
            &self.open,
        ]
        .iter()
        .map(|histogram| u128::from(histogram.sum_ns()))
        .sum()
    }

    /// Finished stays, and those that have not ended as if they did now.
    #[must_use]
    pub fn with_open(&self) -> Histogram {
        let mut all = self.finished.clone();
        all.merge(&self.open);
        all.merge(&self.open_at_least);
        all
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            finished: self.finished.since(&earlier.finished),
            at_least: self.at_least.since(&earlier.at_least),
            unknown: self.unknown.saturating_sub(earlier.unknown),
            open: self.open.clone(),
            open_at_least: self.open_at_least.clone(),
        }
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    asked: Asked,
    keys: HashSet<Key>,
    /// Under no key: the rest.
    spreads: HashMap<(TcpState, Option<Key>), Spread>,
}

impl Durations {
    /// None yet.
    #[must_use]
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            keys: HashSet::new(),
            spreads: HashMap::new(),
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Each state and key with its durations, in no order; without a key, the rest.
    pub fn spreads(&self) -> impl Iterator<Item = (TcpState, Option<&Key>, &Spread)> {
        let spreads = self.spreads.iter();
        spreads.map(|((state, key), spread)| (*state, key.as_ref(), spread))
    }

    /// Makes room for a key whatever the bound: the kernel keeps that itself.
    fn admit(&mut self, key: &Key) {
        if !self.keys.contains(key) {
            self.keys.insert(key.clone());
        }
    }

    fn spread(&mut self, state: TcpState, socket: Described<'_>) -> &mut Spread {
        let key = Key::of(&self.asked.by, socket);
        if self.keys.len() < self.asked.max_keys || self.asked.by.is_empty() {
            self.admit(&key);
        }
        let key = Some(key).filter(|key| self.keys.contains(key));
        self.spreads.entry((state, key)).or_default()
    }

    /// Counts a transition: the end of a stay.
    pub fn transition(&mut self, seen: &Transition) {
        if !self.asked.counts(seen.from, seen.to) {
            return;
        }
        let socket = Described::logged(&seen.socket, seen.owner.as_ref());
        let spread = self.spread(seen.from, socket);
        match seen.duration {
            Spent::Exact(ns) => spread.finished.add(ns),
            Spent::AtLeast(ns) => spread.at_least.add(ns),
            Spent::Unknown => spread.unknown += 1,
        }
    }

    /// Takes in what the kernel counted of one decade on one CPU; without a key, of the rest.
    pub fn counted(&mut self, state: TcpState, key: Option<&Key>, number: u8, decade: &Decade) {
        let key = if self.asked.by.is_empty() {
            Some(Key::default())
        } else {
            key.cloned()
        };
        if let Some(key) = &key {
            self.admit(key);
        }
        let spread = self.spreads.entry((state, key)).or_default();
        spread.finished.add_decade(number, decade);
    }

    /// Counts a socket that is in the state at `now_ns` (`CLOCK_MONOTONIC`).
    pub fn open(&mut self, state: TcpState, socket: Described<'_>, since: Since, now_ns: u64) {
        if !self.asked.states.contains(&state) {
            return;
        }
        let spread = self.spread(state, socket);
        let age_ns = now_ns.saturating_sub(since.moment_ns());
        match since {
            Since::Exact(_) => spread.open.add(age_ns),
            Since::AtLatest(_) => spread.open_at_least.add(age_ns),
        }
    }

    /// What has been counted since it was as `earlier`, beside what is open now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let nothing = Spread::default();
        let spreads = self.spreads.iter().map(|(place, spread)| {
            let before = earlier.spreads.get(place).unwrap_or(&nothing);
            (place.clone(), spread.since(before))
        });
        Self {
            asked: self.asked.clone(),
            keys: self.keys.clone(),
            spreads: spreads.filter(|(_, spread)| !spread.is_empty()).collect(),
        }
    }
}

//! How long sockets stay in each state, by the requested keys.

use std::collections::{HashMap, HashSet};

use tcptrace_common::{Decade, Ending, TcpState};

use crate::model::{
    hist::{
        histogram::Histogram,
        key::{Key, Part},
    },
    socket::{Since, Socket},
    transition::{StateDuration, Transition},
};

/// What to count, and by how many keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The states, in display order.
    pub states: Vec<TcpState>,
    /// The parts of the key.
    pub by: Vec<Part>,
    /// The maximum number of keys; durations with further keys count as the rest.
    pub max_keys: usize,
}

impl Selection {
    /// Whether the end of a stay in a state counts. A socket that comes out of a listener starts as
    /// a copy of it, but was never in LISTEN itself.
    #[must_use]
    pub fn counts(&self, from: TcpState, to: TcpState) -> bool {
        let came_in = from == TcpState::Listen && to == TcpState::SynRecv;
        self.states.contains(&from) && !came_in
    }
}

/// Stays that ended in one way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Those whose beginning was seen, too.
    pub exact: Histogram,
    /// Those that began before tracing: lower bounds.
    pub at_least: Histogram,
    /// How many are of unknown duration.
    pub unknown: u64,
}

impl Ended {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.exact.count() + self.at_least.count() + self.unknown
    }

    /// All of their time, in ns, as far as it is known.
    fn total_ns(&self) -> u128 {
        u128::from(self.exact.sum_ns()) + u128::from(self.at_least.sum_ns())
    }

    fn add(&mut self, duration: StateDuration) {
        match duration {
            StateDuration::Exact(ns) => self.exact.add(ns),
            StateDuration::AtLeast(ns) => self.at_least.add(ns),
            StateDuration::Unknown => self.unknown += 1,
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            exact: self.exact.since(&earlier.exact),
            at_least: self.at_least.since(&earlier.at_least),
            unknown: self.unknown.saturating_sub(earlier.unknown),
        }
    }
}

/// Durations in one state, for one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Stays that ended, by [`Ending`].
    ended: [Ended; Ending::ALL.len()],
    /// How long stays that have not ended have lasted so far.
    pub open: Histogram,
    /// The same for stays that began before tracing: lower bounds.
    pub open_at_least: Histogram,
}

impl Spread {
    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.iter().all(|ended| ended.count() == 0)
            && self.open.count() == 0
            && self.open_at_least.count() == 0
    }

    /// Counts a stay that ended.
    pub fn end(&mut self, ending: Ending, duration: StateDuration) {
        self.ended[ending as usize].add(duration);
    }

    /// Stays that ended in this way.
    #[must_use]
    pub fn ended(&self, ending: Ending) -> &Ended {
        &self.ended[ending as usize]
    }

    /// Stays with an ordinary end.
    #[must_use]
    pub fn closed(&self) -> &Ended {
        self.ended(Ending::Closed)
    }

    /// The total time of all sockets in the state, in ns, as far as it is known.
    #[must_use]
    pub fn total_ns(&self) -> u128 {
        let open = [&self.open, &self.open_at_least];
        let open = open.map(|open| u128::from(open.sum_ns()));
        let ended = self.ended.iter().map(Ended::total_ns);
        ended.chain(open).sum()
    }

    /// Stays with an ordinary end, and those that have not ended as if they ended now.
    #[must_use]
    pub fn with_open(&self) -> Histogram {
        let mut all = self.closed().exact.clone();
        all.merge(&self.open);
        all.merge(&self.open_at_least);
        all
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            ended: Ending::ALL.map(|ending| self.ended(ending).since(earlier.ended(ending))),
            open: self.open.clone(),
            open_at_least: self.open_at_least.clone(),
        }
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    selection: Selection,
    keys: HashSet<Key>,
    /// Without a key: the rest.
    spreads: HashMap<(TcpState, Option<Key>), Spread>,
    /// The part of the rest that was counted here.
    without_room: u64,
}

impl Durations {
    /// None yet.
    #[must_use]
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            keys: HashSet::new(),
            spreads: HashMap::new(),
            without_room: 0,
        }
    }

    /// The request.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// How many durations and open sockets found no room for their key here. This excludes what the
    /// kernel counted.
    #[must_use]
    pub fn without_room(&self) -> u64 {
        self.without_room
    }

    /// Each state and key with its durations, in no particular order; without a key, the rest.
    pub fn spreads(&self) -> impl Iterator<Item = (TcpState, Option<&Key>, &Spread)> {
        let spreads = self.spreads.iter();
        spreads.map(|((state, key), spread)| (*state, key.as_ref(), spread))
    }

    /// Adds a key regardless of the limit, because the kernel enforces the limit itself.
    fn admit(&mut self, key: &Key) {
        if !self.keys.contains(key) {
            self.keys.insert(key.clone());
        }
    }

    fn spread(&mut self, state: TcpState, key: Key) -> &mut Spread {
        if self.keys.len() < self.selection.max_keys || self.selection.by.is_empty() {
            self.admit(&key);
        }
        let key = Some(key).filter(|key| self.keys.contains(key));
        self.without_room += u64::from(key.is_none());
        self.spreads.entry((state, key)).or_default()
    }

    /// Counts a transition: the end of a stay.
    pub fn transition(&mut self, seen: &Transition) {
        if !self.selection.counts(seen.from, seen.to) {
            return;
        }
        let key = Key::of(&self.selection.by, &seen.socket, seen.owner());
        let spread = self.spread(seen.from, key);
        spread.end(seen.ending, seen.duration);
    }

    /// Adds the kernel's counts for one decade on one CPU; without a key, for the rest.
    pub fn counted(
        &mut self,
        (state, ending): (TcpState, Ending),
        key: Option<&Key>,
        number: u8,
        decade: &Decade,
    ) {
        let key = if self.selection.by.is_empty() {
            Some(Key::default())
        } else {
            key.cloned()
        };
        if let Some(key) = &key {
            self.admit(key);
        }
        let spread = self.spreads.entry((state, key)).or_default();
        spread.ended[ending as usize]
            .exact
            .add_decade(number, decade);
    }

    /// Counts a socket that is still in its state at `now_ns` (`CLOCK_MONOTONIC`).
    pub fn open(&mut self, socket: &Socket, now_ns: u64) {
        if !self.selection.states.contains(&socket.state) {
            return;
        }
        let age_ns = socket.age_ns(now_ns);
        let (by, candidates) = (&self.selection.by, socket.candidates());
        let owner = socket.logged_owner();
        let key = Key::of_one_of(by, &socket.identity, owner, &candidates);
        let spread = self.spread(socket.state, key);
        match socket.since {
            Since::Exact(_) => spread.open.add(age_ns),
            Since::AtLatest(_) => spread.open_at_least.add(age_ns),
        }
    }

    /// What has been counted since `earlier`, together with what is open now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let nothing = Spread::default();
        let spreads = self.spreads.iter().map(|(place, spread)| {
            let before = earlier.spreads.get(place).unwrap_or(&nothing);
            (place.clone(), spread.since(before))
        });
        Self {
            selection: self.selection.clone(),
            keys: self.keys.clone(),
            without_room: self.without_room,
            spreads: spreads.filter(|(_, spread)| !spread.is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::transition;

    const MS: u64 = 1_000_000;

    fn selection(by: &[Part], max_keys: usize) -> Selection {
        Selection {
            states: vec![TcpState::CloseWait, TcpState::Listen],
            by: by.to_vec(),
            max_keys,
        }
    }

    fn stay(comm: &str, duration: StateDuration) -> Transition {
        let mut seen = transition(1, TcpState::CloseWait, TcpState::LastAck, 5);
        seen.duration = duration;
        if let Some(owner) = &mut seen.opener {
            owner.process.comm = comm.into();
        }
        seen
    }

    fn of<'a>(durations: &'a Durations, comm: Option<&str>) -> Option<&'a Spread> {
        let named = |key: Option<&Key>| key.map(|key| key.comm.as_deref()) == comm.map(Some);
        let mut spreads = durations.spreads();
        spreads.find_map(|(_, key, spread)| named(key).then_some(spread))
    }

    #[test]
    fn kinds_of_durations_are_kept_apart() {
        let mut durations = Durations::new(selection(&[], 1));
        for duration in [
            StateDuration::Exact(MS),
            StateDuration::AtLeast(2 * MS),
            StateDuration::Unknown,
        ] {
            durations.transition(&stay("java", duration));
        }
        let seen = stay("java", StateDuration::Unknown);
        for since in [Since::Exact(10), Since::AtLatest(20)] {
            let (socket, owner) = (seen.socket.clone(), seen.opener.clone());
            durations.open(
                &Socket::logged(socket, TcpState::CloseWait, since, owner),
                100,
            );
        }
        let (_, _, spread) = durations.spreads().next().expect("one");
        assert_eq!(spread.closed().exact.sum_ns(), MS);
        assert_eq!(spread.closed().at_least.sum_ns(), 2 * MS);
        assert_eq!(spread.closed().unknown, 1);
        assert_eq!(
            (spread.open.sum_ns(), spread.open_at_least.sum_ns()),
            (90, 80)
        );
        assert_eq!(spread.total_ns(), u128::from(3 * MS + 170));
        assert_eq!(spread.with_open().count(), 3);
    }

    #[test]
    fn what_a_process_did_not_end_stands_apart() {
        let mut durations = Durations::new(selection(&[], 1));
        let decade = {
            let mut decade = Decade::default();
            (decade.counts[0], decade.sum_ns, decade.max_ns) = (2, 2 * MS, MS);
            decade
        };
        for ending in Ending::ALL {
            let mut seen = stay("java", StateDuration::AtLeast(MS));
            seen.ending = ending;
            durations.transition(&seen);
            durations.counted((TcpState::CloseWait, ending), None, 4, &decade);
        }
        let earlier = durations.clone();
        let mut seen = stay("java", StateDuration::Exact(MS));
        seen.ending = Ending::ResetStillOpen;
        durations.transition(&seen);
        let (_, _, spread) = durations.spreads().next().expect("one");
        assert_eq!(spread.closed().exact.count(), 2);
        assert_eq!(spread.closed().at_least.count(), 1);
        assert_eq!(spread.with_open().count(), 2);
        assert_eq!(spread.total_ns(), u128::from(16 * MS));
        let counts = |spread: &Spread| Ending::ALL.map(|ending| spread.ended(ending).count());
        assert_eq!(counts(spread), [3, 3, 4, 3, 3]);
        let since = durations.since(&earlier);
        let (_, _, spread) = since.spreads().next().expect("one");
        assert_eq!(counts(spread), [0, 0, 1, 0, 0]);
    }

    #[test]
    fn only_the_ends_of_stays_in_the_states_count() {
        let mut durations = Durations::new(selection(&[], 1));
        let mut ends = |from, to| {
            let mut seen = transition(1, from, to, 5);
            seen.duration = StateDuration::Exact(1);
            durations.transition(&seen);
        };
        ends(TcpState::Established, TcpState::CloseWait);
        ends(TcpState::Listen, TcpState::SynRecv);
        ends(TcpState::Listen, TcpState::Close);
        let counted: Vec<_> = durations.spreads().map(|(state, ..)| state).collect();
        assert_eq!(counted, [TcpState::Listen]);
    }

    #[test]
    fn keys_without_room_are_the_rest() {
        let mut durations = Durations::new(selection(&[Part::Comm], 2));
        for comm in ["a", "b", "c", "a", "d"] {
            durations.transition(&stay(comm, StateDuration::Exact(MS)));
        }
        let count = |comm| of(&durations, comm).map(|spread| spread.closed().exact.count());
        assert_eq!(durations.keys(), 2);
        assert_eq!(count(Some("a")), Some(2));
        assert_eq!(count(Some("b")), Some(1));
        assert_eq!(count(None), Some(2));
        assert_eq!(durations.without_room(), 2);
    }

    #[test]
    fn an_interval_is_what_came_since() {
        let mut earlier = Durations::new(selection(&[Part::Comm], 9));
        earlier.transition(&stay("a", StateDuration::Exact(MS)));
        earlier.transition(&stay("b", StateDuration::Unknown));
        let mut now = earlier.clone();
        now.transition(&stay("b", StateDuration::AtLeast(7 * MS)));
        now.transition(&stay("c", StateDuration::Exact(3 * MS)));
        let since = now.since(&earlier);
        assert_eq!(of(&since, Some("a")), None);
        let b = of(&since, Some("b")).expect("something came");
        assert_eq!(
            (
                b.closed().unknown,
                b.closed().at_least.count(),
                b.closed().exact.count()
            ),
            (0, 1, 0)
        );
        assert_eq!(
            of(&since, Some("c")).map(|c| c.closed().exact.sum_ns()),
            Some(3 * MS)
        );
    }
}

//! Durations as they are shown: worst first, with remarks.

use std::time::SystemTime;

use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    hist::{
        durations::{Selection, Spread},
        histogram::Histogram,
        key::Key,
    },
    names::names,
    stuck::look::Hook,
};

/// How the counting went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Where the kernel side is attached; `None` for a recording.
    pub hook: Option<Hook>,
    /// Durations that found no room for their key, and count as the rest.
    pub unkeyed: u64,
    /// Missing durations: they began before the start and did not fit into the buffer, or, in a
    /// recording, were lost during the recording.
    pub lost: u64,
    /// Sockets that did not fit into the table: their durations are not known.
    pub untracked: u64,
    /// Runs that the kernel skipped; `None` if it does not count them.
    pub skipped: Option<u64>,
    /// Descendants of followed processes that could not be followed.
    pub unfollowed: u64,
}

/// The period of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A part of a session.
    Interval,
    /// The whole session.
    Whole,
    /// The session so far: on a terminal, which shows the whole at the end.
    SoFar,
}

names!(Extent {
    Interval => "interval",
    Whole => "whole",
    SoFar => "so_far",
});

/// Durations in one state, for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDurations {
    /// The state.
    pub state: TcpState,
    /// `None` for the rest, whose keys found no room.
    pub key: Option<Key>,
    /// The durations.
    pub spread: Spread,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its end by wall-clock time; `None` for an empty recording.
    pub time: Option<SystemTime>,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// How long it is, in ns.
    pub length_ns: u64,
    /// Its period.
    pub extent: Extent,
    /// The request.
    pub selection: Selection,
    /// Whether quantiles include durations that have not ended.
    pub include_open: bool,
    /// By state in the requested order; in each state the key with the most total time first and
    /// the rest last.
    pub groups: Vec<KeyDurations>,
    /// The number of keys.
    pub keys: usize,
    /// How the counting went.
    pub account: Account,
    /// What could not be seen, and what makes it less than certain.
    pub caveats: Vec<Caveat>,
}

/// When a report ends, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its end by wall-clock time.
    pub time: Option<SystemTime>,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub end_ns: u64,
    /// How long it is, in ns.
    pub length_ns: u64,
    /// Its period.
    pub extent: Extent,
}

impl Report {
    /// The durations whose quantiles are shown.
    #[must_use]
    pub fn for_quantiles(&self, spread: &Spread) -> Histogram {
        if self.include_open {
            spread.with_open()
        } else {
            spread.closed().exact.clone()
        }
    }

    /// The same with at most this many keys per state, and the number left out for each.
    #[must_use]
    pub fn top(&self, most: usize) -> (Vec<&KeyDurations>, Vec<(TcpState, usize)>) {
        let mut shown = Vec::new();
        let mut hidden = Vec::new();
        for state in &self.selection.states {
            let of_state = self.groups.iter().filter(|group| group.state == *state);
            let (keyed, rest): (Vec<_>, Vec<_>) = of_state.partition(|group| group.key.is_some());
            let left_out = keyed.len().saturating_sub(most);
            shown.extend(keyed.into_iter().take(most).chain(rest));
            if left_out > 0 {
                hidden.push((*state, left_out));
            }
        }
        (shown, hidden)
    }
}

//! Durations as they are shown: worst first, and what is to be said beside them.

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

/// What is to be known of how durations were counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Where the kernel side is attached; `None` for a recording.
    pub hook: Option<Hook>,
    /// Durations without room for their key, which count as the rest.
    pub unkeyed: u64,
    /// Durations that are missing: they began before the start and found the buffer full, or, in a
    /// recording, were lost when it was made.
    pub lost: u64,
    /// Sockets that found the table full: how long they stay is not known.
    pub untracked: u64,
    /// Runs that the kernel skipped; `None` where it does not count them.
    pub skipped: Option<u64>,
    /// Descendants of followed processes that could not be followed.
    pub unfollowed: u64,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A part of a session.
    Interval,
    /// All of it.
    Whole,
}

names!(Extent {
    Interval => "interval",
    Whole => "whole",
});

/// Durations in one state, of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDurations {
    /// The state.
    pub state: TcpState,
    /// `None` for the rest, which found no room of its own.
    pub key: Option<Key>,
    /// The durations.
    pub spread: Spread,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its end by wall-clock time; `None` of a recording in which there is nothing.
    pub time: Option<SystemTime>,
    /// The same moment of `CLOCK_MONOTONIC`, in ns.
    pub monotonic_ns: u64,
    /// How long it is, in ns.
    pub length_ns: u64,
    /// What it is about.
    pub extent: Extent,
    /// What was asked for.
    pub selection: Selection,
    /// Whether quantiles count what has not ended.
    pub include_open: bool,
    /// State by state as they were asked for, each with the most time in it first and the rest last.
    pub groups: Vec<KeyDurations>,
    /// How many keys there are.
    pub keys: usize,
    /// How it went.
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
    /// What it is about.
    pub extent: Extent,
}

impl Report {
    /// The durations of which quantiles are shown.
    #[must_use]
    pub fn for_quantiles(&self, spread: &Spread) -> Histogram {
        if self.include_open {
            spread.with_open()
        } else {
            spread.finished.clone()
        }
    }

    /// The same with so many keys of each state at most, and how many were left out of each.
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

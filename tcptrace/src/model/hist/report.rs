//! Durations as they are shown: worst first, and what is to be said beside them.

use std::time::SystemTime;

use tcptrace_common::TcpState;

use crate::model::{
    hist::{
        durations::{Asked, Spread},
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
    pub keyless: u64,
    /// Durations that are missing: they began before the start and found the buffer full, or, in a
    /// recording, were lost when it was made.
    pub lost: u64,
    /// Sockets that found the table full: how long they stay is not known.
    pub unkept: u64,
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
    pub asked: Asked,
    /// Whether quantiles count what has not ended.
    pub include_open: bool,
    /// State by state as they were asked for, each with the most time in it first and the rest last.
    pub groups: Vec<KeyDurations>,
    /// How many keys there are.
    pub keys: usize,
    /// How it went.
    pub account: Account,
    /// What the view should warn of.
    pub notes: Vec<String>,
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
        for state in &self.asked.states {
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

    /// In words, what makes it less than certain.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.notes.clone();
        let account = &self.account;
        if account.keyless > 0 {
            warnings.push(format!(
                "{} durations found no room of their own and count as other (--max-keys, now {}, makes \
                 room)",
                account.keyless, self.asked.max_keys
            ));
        }
        if account.lost > 0 && account.hook.is_some() {
            warnings.push(format!(
                "{} durations of sockets from before the start were lost: the buffer was full",
                account.lost
            ));
        }
        if account.unkept > 0 && account.hook.is_some() {
            warnings.push(format!(
                "{} sockets did not fit into the kernel's table: how long they stay is not known \
                 (--max-sockets makes room)",
                account.unkept
            ));
        }
        if let (Some(runs @ 1..), Some(_)) = (account.skipped, account.hook) {
            warnings.push(format!(
                "the kernel skipped {runs} runs of the program: as many durations at the most are \
                 missing or not known"
            ));
        }
        if account.unfollowed > 0 {
            warnings.push(format!(
                "{} descendants could not be followed: the list was full",
                account.unfollowed
            ));
        }
        warnings
    }
}

//! The order in which durations are shown: worst first.

use std::cmp::Reverse;

use crate::model::hist::{
    durations::Durations,
    report::{Account, KeyDurations, Report, Span},
};

/// Durations as they are shown: state by state as they were asked for, each with the most time in it
/// first and the rest last.
#[must_use]
pub fn report(durations: &Durations, span: Span, include_open: bool, account: Account) -> Report {
    let selection = durations.selection().clone();
    let mut groups: Vec<_> = durations
        .spreads()
        .filter(|(_, _, spread)| !spread.is_empty())
        .map(|(state, key, spread)| KeyDurations {
            state,
            key: key.cloned(),
            spread: spread.clone(),
        })
        .collect();
    let place = |state| selection.states.iter().position(|one| *one == state);
    groups.sort_by(|one, other| {
        let rank = |group: &KeyDurations| {
            let worst = Reverse(group.spread.total_ns());
            (place(group.state), group.key.is_none(), worst)
        };
        // The key, so that equals always come in the same order.
        (rank(one), &one.key).cmp(&(rank(other), &other.key))
    });
    Report {
        time: span.time,
        monotonic_ns: span.end_ns,
        length_ns: span.length_ns,
        extent: span.extent,
        include_open,
        keys: if selection.by.is_empty() {
            0
        } else {
            durations.keys()
        },
        selection,
        groups,
        account: Account {
            unkeyed: account.unkeyed + durations.without_room(),
            ..account
        },
        caveats: Vec::new(),
    }
}

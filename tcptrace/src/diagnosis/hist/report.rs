//! The order in which durations are shown: worst first.

use std::cmp::Reverse;

use crate::model::hist::{
    durations::Durations,
    report::{Account, KeyDurations, Report, Span},
};

/// Durations in display order: by state in the requested order; in each state the key with the most
/// total time first and the rest last.
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
        // Then by key, so that the order of equals is stable.
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

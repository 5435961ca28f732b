//! Caveats in words.

use serde::Serialize;

use crate::{
    model::{caveat::Caveat, request::LogFilters},
    view::parts::absent,
};

/// The caveat in words: not yet fit for a terminal.
#[must_use]
pub fn text(caveat: &Caveat) -> String {
    match caveat {
        Caveat::MissingCapabilities(names) => {
            format!(
                "some of this may be missing: tcptrace runs without {}",
                names.join(", ")
            )
        }
        Caveat::Absent(values) => absent::text(values),
        Caveat::UnlistedNamespace { netns, error } => {
            format!("network namespace {netns} could not be asked: {error}")
        }
        Caveat::UnenteredNamespaces { count, sockets } => {
            let number = |count: u64, what: &str| match count {
                1 => format!("1 {what}"),
                count => format!("{count} {what}s"),
            };
            format!(
                "{} with {} could not be entered: sockets there that have no descriptor may be \
                 missing",
                number(*count, "network namespace"),
                number(*sockets, "TCP socket")
            )
        }
        Caveat::UnlistedMptcp {
            netns,
            count,
            error,
        } => {
            let has = match count {
                Some(count) => format!("has {count} MPTCP sockets"),
                None => "may have MPTCP sockets".to_owned(),
            };
            format!(
                "network namespace {netns} {has}, and those without a descriptor could not be \
                 listed: {error}"
            )
        }
        Caveat::UnreadableProcesses(pids) => unreadable(pids),
        Caveat::UnreadDescriptors => {
            "the descriptors of some processes could not be read: holders may be missing".into()
        }
        Caveat::UnknownHolders(error) => format!("holders are not known: {error}"),
        Caveat::ResidueNotLookedFor => {
            "sockets that the network closed and a process still has open are not looked for: this \
             way of finding sockets cannot see them"
                .into()
        }
        Caveat::UnreadQueues(count) => format!(
            "{count} accept queues could not be read: where connections wait to be accepted, every \
             listener that may be meant is named"
        ),
        Caveat::NewControlGroupsLeftOut => {
            "the filter leaves out control groups that are created from now on: on this kernel \
             tcptrace cannot find out which group contains them"
                .into()
        }
        Caveat::DamagedLines {
            count,
            first,
            reason,
        } => format!("{} (the first: {reason})", damaged(*count, first)),
        Caveat::BrokenOff { line, error } => {
            format!("the compressed stream breaks off in line {line}: {error}")
        }
        Caveat::UnknownLines(1) => "1 line is of an unknown kind".into(),
        Caveat::UnknownLines(count) => {
            format!("{count} lines are of an unknown kind")
        }
        Caveat::LostWhileRecorded {
            transitions,
            sockets,
            runs,
        } => format!(
            "during the recording, {transitions} transitions were lost, {sockets} sockets did not \
             fit into the table, and the kernel skipped {runs} runs of the programs"
        ),
        Caveat::Contradictions(count) => {
            format!(
                "{count} transitions do not begin in the state in which the previous one ended: \
                 some are missing"
            )
        }
        Caveat::Unidentified { count, state } => format!(
            "{count} sockets entered {} without a cookie or a port: they cannot be identified and \
             are left out",
            state.name()
        ),
        Caveat::Restarts(_) => {
            "the machine was rebooted during the recording: sockets from before that are gone"
                .into()
        }
        Caveat::RecordedWithFilters {
            filters,
            some_unknown,
        } => recorded_with(filters, *some_unknown),
        Caveat::LeavingLeftOut(state) => format!(
            "its --state leaves out which sockets have left {} since",
            state.name()
        ),
        Caveat::UnnamedNamespace { count, name } => {
            let records = match count {
                1 => "1 record is".to_owned(),
                more => format!("{more} records are"),
            };
            format!(
                "{records} left out: no header before them says which network namespace has the \
                 name {name}"
            )
        }
        Caveat::OnlyTransitionsOf { only, asked } => format!(
            "every transition in it is into or out of {}: if it was recorded with --state, it does \
             not show which sockets have left {} since",
            only.name(),
            asked.name()
        ),
        Caveat::MayHaveLeft { count: 1, state } => format!(
            "1 more socket was in {}, but may have left it unseen",
            state.name()
        ),
        Caveat::MayHaveLeft { count, state } => format!(
            "{count} more sockets were in {}, but may have left it unseen",
            state.name()
        ),
        Caveat::MayStillBeOpen { count, state } => format!(
            "{count} more may still have been in {} at the end: the lost lines may show that they \
             left",
            state.name()
        ),
    }
}

fn recorded_with(filters: &[LogFilters], some_unknown: bool) -> String {
    let texts = filters.iter().map(|filters| match filters.is_empty() {
        true => "without filters".to_owned(),
        false => format!("with {filters}"),
    });
    let texts: Vec<_> = texts.collect();
    let parts = match texts.len() {
        1 if !some_unknown => "it was",
        _ => "parts of it were",
    };
    let how = texts.join(" and ");
    format!("{parts} recorded {how}: it does not contain what these filters leave out")
}

fn unreadable(pids: &[u32]) -> String {
    let more = match pids {
        [] | [_] => String::new(),
        [_, others @ ..] => format!(" and {} more", others.len()),
    };
    let first = pids.first().map_or_else(String::new, u32::to_string);
    format!(
        "no permission to inspect process {first}{more}: a network namespace that no other process \
         uses may be missing"
    )
}

fn damaged(count: u64, first: &[u64]) -> String {
    let numbers: Vec<_> = first.iter().map(u64::to_string).collect();
    match (&numbers[..], count.saturating_sub(first.len() as u64)) {
        ([one], 0) => format!("line {one} is damaged and was left out"),
        (_, 0) => format!(
            "lines {} are damaged and were left out",
            numbers.join(" and ")
        ),
        (_, others) => format!(
            "lines {} and {others} more are damaged and were left out",
            numbers.join(", ")
        ),
    }
}

/// All caveats in words.
#[must_use]
pub fn texts(caveats: &[Caveat]) -> Vec<String> {
    caveats.iter().map(text).collect()
}

/// A caveat in JSON.
#[derive(Serialize)]
pub struct CaveatRecord {
    caveat: &'static str,
    count: Option<u64>,
    text: String,
}

/// All caveats in JSON.
#[must_use]
pub fn records(caveats: &[Caveat]) -> Vec<CaveatRecord> {
    let record = |caveat: &Caveat| CaveatRecord {
        caveat: caveat.name(),
        count: caveat.count(),
        text: text(caveat),
    };
    caveats.iter().map(record).collect()
}

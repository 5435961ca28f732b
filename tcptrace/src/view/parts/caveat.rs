//! Caveats in words.

use serde::Serialize;

use crate::model::{caveat::Caveat, request::LogFilters};

/// The caveat as people read it: not yet fit for a terminal.
#[must_use]
pub fn text(caveat: &Caveat) -> String {
    match caveat {
        Caveat::MissingCapabilities(names) => {
            format!("without {} some of this may be missing", names.join(", "))
        }
        Caveat::NoSuchProcess(pid) => format!("there is no process {pid} now"),
        Caveat::UnlistedNamespace { netns, error } => {
            format!("network namespace {netns} could not be asked: {error}")
        }
        Caveat::UnreadableProcesses(pids) => unreadable(pids),
        Caveat::UnreadDescriptors => {
            "not every process's descriptors could be read: holders may be missing".into()
        }
        Caveat::UnknownHolders(error) => format!("holders are not known: {error}"),
        Caveat::NewControlGroupsLeftOut => {
            "control groups that are made from now on are left out: this kernel cannot tell what \
             they are in"
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
        Caveat::UnknownLines(1) => "1 line is of a kind that is not known here".into(),
        Caveat::UnknownLines(count) => {
            format!("{count} lines are of a kind that is not known here")
        }
        Caveat::LostWhileRecorded {
            transitions,
            sockets,
            runs,
        } => format!(
            "while it was recorded, {transitions} transitions were lost, {sockets} sockets were not \
             kept, and the kernel skipped {runs} runs"
        ),
        Caveat::Contradictions(count) => {
            format!("{count} transitions do not begin where the one before ended: some are missing")
        }
        Caveat::Unidentified { count, state } => format!(
            "{count} sockets entered {} without a cookie or a port, and are not followed",
            state.name()
        ),
        Caveat::Restarts(_) => {
            "the machine was started anew in between: what was open is gone".into()
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
                "{records} left out: no header before them says which network namespace is {name}"
            )
        }
        Caveat::OnlyTransitionsOf { only, asked } => format!(
            "every transition in it is into or out of {}: if it was recorded with --state, it does \
             not tell which sockets have left {} since",
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
            "{count} more may still have been in {} at the end: what was lost may be their leaving",
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
    format!("{parts} recorded {how}: what that leaves out is not in it")
}

fn unreadable(pids: &[u32]) -> String {
    let more = match pids {
        [] | [_] => String::new(),
        [_, others @ ..] => format!(" and {} more", others.len()),
    };
    let first = pids.first().map_or_else(String::new, u32::to_string);
    format!(
        "process {first}{more} may not be looked into: a network namespace that no other process is \
         in is not listed"
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

/// All of them in words.
#[must_use]
pub fn texts(caveats: &[Caveat]) -> Vec<String> {
    caveats.iter().map(text).collect()
}

/// A caveat as JSON has it.
#[derive(Serialize)]
pub struct CaveatRecord {
    caveat: &'static str,
    count: Option<u64>,
    text: String,
}

/// All of them as JSON has them.
#[must_use]
pub fn records(caveats: &[Caveat]) -> Vec<CaveatRecord> {
    let record = |caveat: &Caveat| CaveatRecord {
        caveat: caveat.name(),
        count: caveat.count(),
        text: text(caveat),
    };
    caveats.iter().map(record).collect()
}

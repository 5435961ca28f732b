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
        Caveat::UserNamespace(inode) => format!(
            "this is a user namespace ({inode}): tcptrace may neither use BPF programs nor look at what \
             does not belong to it, so processes, holders and network namespaces outside of it are missing"
        ),
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
        Caveat::PidNamespace => {
            "this is not the initial PID namespace: processes outside of it have no number here, and \
             what only they lead to (holders, residue, network namespaces) is not seen"
                .into()
        }
        Caveat::NoProcessNumbers(reason) => format!("no process has a number: {reason}"),
        Caveat::AcceptsNotSeen => {
            "nothing here tells which process accepts a connection: it counts as that of the process that \
             listens, until another makes a call on it (tcptrace doctor says why)"
                .into()
        }
        Caveat::HeldOutside(1) => {
            "1 socket is held outside this PID namespace: no process in it has it open".into()
        }
        Caveat::HeldOutside(count) => format!(
            "{count} sockets are held outside this PID namespace: no process in it has them open"
        ),
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
        Caveat::UnreportedExits(count) => {
            let sockets = if *count == 1 { "socket" } else { "sockets" };
            format!(
                "{count} {sockets} left the state without a record of it: more left between two looks than there \
                 is room for, so what is said about those that left may be about a part of them"
            )
        }
        Caveat::UnreachedControlGroups {
            from_machine_root: false,
            ..
        } => {
            "the machine's root of control groups cannot be reached: paths of groups, also that of \
              --cgroup, are from the root of tcptrace's cgroup namespace, and groups outside of it \
              are not known"
                .into()
        }
        Caveat::UnreachedControlGroups { top, .. } => {
            format!("control groups outside of {top} cannot be reached: they are not known")
        }
        Caveat::UnknownControlGroups(count) => {
            let groups = if *count == 1 { "group is" } else { "groups are" };
            format!(
                "{count} control {groups} not known: removed, or not looked up in time; --cgroup does not \
                 take them"
            )
        }
        Caveat::NewControlGroupsLeftOut => {
            "the filter leaves out control groups that are created from now on: here tcptrace \
             cannot find out which group contains them"
                .into()
        }
        Caveat::DamagedLines {
            count,
            first,
            reason,
        } => format!("{} (the first: {reason})", damaged(*count, first)),
        Caveat::DamagedFrames { count, reason } => {
            let parts = if *count == 1 { "part" } else { "parts" };
            format!(
                "{count} {parts} of the compressed stream cannot be read: lines are missing (the first: {reason})"
            )
        }
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
        Caveat::OnlyCounted { count, kept } => format!(
            "only {kept} sockets are kept in memory: {count} more are counted in the first line, and neither in \
             groups nor listed, so that numbers of groups are lower bounds (filters leave fewer)"
        ),
        Caveat::NotKept { count, state } => format!(
            "up to {count} more sockets were in {}: they are neither counted nor shown, because there was \
             no room for them in memory",
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
        Caveat::RelativeControlGroups => "paths of control groups in the recording, also that of \
                                          --cgroup, are from the root of the cgroup namespace in \
                                          which it was made, not from the machine's"
            .into(),
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

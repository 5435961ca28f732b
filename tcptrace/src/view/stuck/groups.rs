//! The table of groups.

use std::collections::HashSet;

use crate::{
    model::{
        command, container,
        stuck::{
            group::{Group, RecvQueues},
            look::ProcessInfo,
            snapshot::Snapshot,
        },
    },
    view::{
        Page,
        layout::table::{self, Column, before_pid, before_port, left, right},
        parts::{age::age_between, candidates::one_process_of, clean::clean},
        stuck::{cause, held_by::CLOSED, names::connection, sockets::namespace},
    },
};

const COLUMNS: [Column; 13] = [
    right("#").rank(1),
    right("SOCKETS"),
    right("MAY BE").rank(3),
    right("OLDEST").rank(4),
    right("MEDIAN").extra(9),
    right("RECV-Q 0/1/+").extra(5),
    left("PROCESS").rank(1).name(before_pid),
    left("CONNECTION").rank(2).name(before_port),
    left("STATE").extra(8),
    left("ACCEPTED").extra(4),
    left("IN").extra(6),
    left("COMMAND").extra(7),
    left("NETNS").rank(3),
];

/// The table of groups.
pub struct Groups {
    /// The names of its columns.
    pub heading: String,
    /// For each group its row, and the lines below it.
    pub rows: Vec<(String, Vec<String>)>,
}

/// The groups with their numbers, and why they are stuck; with `whole` also all arguments of their processes.
pub fn table(snapshot: &Snapshot, whole: bool, page: Page) -> Groups {
    let mut met = HashSet::new();
    let groups = snapshot.groups.iter();
    // Where two would read the same without it.
    let with_netns = groups
        .map(|group| {
            (
                &group.owner,
                &group.candidates,
                connection(group.role, group.ends),
            )
        })
        .any(|one| !met.insert(one));
    let rows: Vec<_> = (1..)
        .zip(&snapshot.groups)
        .map(|(number, group)| row(number, group, snapshot, whole, with_netns))
        .collect();
    let mut lines = table::lines(&COLUMNS, &rows, page).into_iter();
    Groups {
        heading: lines.next().unwrap_or_default(),
        rows: lines
            .zip(&snapshot.groups)
            .map(|(row, group)| (row, cause::line::lines(group, snapshot, page)))
            .collect(),
    }
}

fn row(
    number: usize,
    group: &Group,
    snapshot: &Snapshot,
    whole: bool,
    with_netns: bool,
) -> Vec<String> {
    let owner = group.owner.as_ref();
    let process = owner.and_then(|owner| snapshot.processes.get(&owner.pid));
    let oldest_ns = snapshot
        .monotonic_ns
        .saturating_sub(group.oldest.moment_ns());
    vec![
        number.to_string(),
        group.stuck.to_string(),
        if snapshot.may_be() > 0 {
            (group.sockets - group.stuck).to_string()
        } else {
            String::new()
        },
        age_between(oldest_ns, group.oldest_at_most_ns),
        age_between(group.median_ns, group.median_at_most_ns),
        recv_queues(&group.recv_queues),
        owner.map_or_else(
            || without_owner(group),
            |owner| format!("{}[{}]", clean(&owner.comm), owner.pid),
        ),
        connection(group.role, group.ends),
        process.map_or_else(String::new, process_state),
        match group.unaccepted {
            0 => String::new(),
            all if all == group.sockets => "never".into(),
            some => format!("{some} never"),
        },
        (group.cgroup.as_deref().and_then(container::name)).map_or_else(String::new, |n| clean(&n)),
        command(group, snapshot, whole).map_or_else(String::new, |command| clean(&command)),
        match group.netns {
            _ if !with_netns => String::new(),
            Some(netns) => namespace(netns, snapshot),
            None => "?".into(),
        },
    ]
}

/// What its process runs, with all arguments if `whole`; not yet fit for a terminal.
pub fn command(group: &Group, snapshot: &Snapshot, whole: bool) -> Option<String> {
    let owner = group.owner.as_ref()?;
    let arguments = &snapshot.processes.get(&owner.pid)?.arguments;
    if whole {
        command::whole(arguments)
    } else {
        command::short(arguments, &owner.comm)
    }
}

/// How many sockets have no unread byte, one, and more; how many of which it is not known, if any.
fn recv_queues(queues: &RecvQueues) -> String {
    let RecvQueues {
        zero,
        one,
        more,
        unknown,
    } = queues;
    match (zero + one + more, *unknown) {
        (0, _) => "?".into(),
        (_, 0) => format!("{zero}/{one}/{more}"),
        (_, unknown) => format!("{zero}/{one}/{more}, {unknown} ?"),
    }
}

/// The processes that may be meant, or why there is none.
fn without_owner(group: &Group) -> String {
    let candidates: Vec<_> = (group.candidates.iter())
        .map(|one| (one.pid, one.comm.as_str()))
        .collect();
    match (candidates.is_empty(), group.owner_known) {
        (false, _) => one_process_of(&candidates),
        (true, _) if group.closed == group.sockets => CLOSED.into(),
        (true, true) => "no process".into(),
        (true, false) => "?".into(),
    }
}

/// The words of `proc_pid_stat(5)`. A frozen process neither sleeps nor waits for a disk, whatever its
/// letter; one that is stopped stays so when it thaws.
fn process_state(process: &ProcessInfo) -> String {
    match process.state {
        'R' | 'S' | 'I' | 'D' if process.frozen == Some(true) => "frozen",
        'R' => "running",
        'S' | 'I' => "sleeping",
        'D' => "disk sleep",
        'T' => "stopped",
        't' => "traced",
        'Z' => "zombie",
        'X' | 'x' => "dead",
        other => return other.escape_default().to_string(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::process_state;
    use crate::{fixtures, model::stuck::look::ProcessInfo};

    #[test]
    fn what_is_frozen_does_not_sleep_and_what_is_stopped_stays_so() {
        let words = |state: char, frozen: Option<bool>| {
            let process = fixtures::process(1);
            process_state(&ProcessInfo {
                state,
                frozen,
                ..process
            })
        };
        for letter in ['R', 'S', 'D', 'I'] {
            assert_eq!(words(letter, Some(true)), "frozen");
            assert_ne!(words(letter, None), "frozen");
        }
        assert_eq!(words('D', Some(false)), "disk sleep");
        assert_eq!(words('T', Some(true)), "stopped");
        assert_eq!(words('Z', Some(true)), "zombie");
        assert_eq!(words('\x1b', Some(true)), r"\u{1b}");
    }
}

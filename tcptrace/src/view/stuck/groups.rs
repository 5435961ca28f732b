//! The table of groups.

use std::collections::HashSet;

use crate::{
    model::{
        command, container,
        socket::Role,
        stuck::{
            group::{Ends, Group, RecvQueues},
            snapshot::Snapshot,
        },
    },
    view::parts::{
        address::endpoint,
        age::age_between,
        clean::clean,
        table::{self, Column, before_pid, before_port, left, right},
    },
    view::stuck::{
        held_by::{CLOSED, one_of},
        sockets::namespace,
    },
};

const COLUMNS: [Column; 12] = [
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

/// The heading, and a line for each group; with `whole` also all arguments of its process.
pub fn lines(snapshot: &Snapshot, whole: bool, width: Option<usize>) -> Vec<String> {
    let mut met = HashSet::new();
    let groups = snapshot.groups.iter();
    // Where two would read the same without it.
    let with_netns = groups
        .map(|group| (&group.owner, &group.candidates, connection(group)))
        .any(|one| !met.insert(one));
    let rows: Vec<_> = (snapshot.groups.iter())
        .map(|group| row(group, snapshot, whole, with_netns))
        .collect();
    table::lines(&COLUMNS, &rows, width)
}

fn row(group: &Group, snapshot: &Snapshot, whole: bool, with_netns: bool) -> Vec<String> {
    let owner = group.owner.as_ref();
    let process = owner.and_then(|owner| snapshot.processes.get(&owner.pid));
    let oldest_ns = snapshot
        .monotonic_ns
        .saturating_sub(group.oldest.moment_ns());
    vec![
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
        connection(group),
        process.map_or_else(String::new, |process| process_state(process.state)),
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

/// Which way, and the port that matters: the peer's for clients, this machine's for servers.
fn connection(group: &Group) -> String {
    match group.ends {
        Ends::To(remote) if group.role == Role::Client => format!("to {}", endpoint(remote)),
        Ends::To(remote) => endpoint(remote),
        Ends::At { port, from, .. } => match from {
            Some(from) => format!(":{port} from {from}"),
            None => format!(":{port}"),
        },
    }
}

/// The processes that may be meant, or why there is none.
fn without_owner(group: &Group) -> String {
    let candidates: Vec<_> = (group.candidates.iter())
        .map(|one| (one.pid, one.comm.as_str()))
        .collect();
    match (candidates.is_empty(), group.owner_known) {
        (false, _) => one_of(&candidates),
        (true, _) if group.closed == group.sockets => CLOSED.into(),
        (true, true) => "no process".into(),
        (true, false) => "?".into(),
    }
}

/// The words of `proc_pid_stat(5)`.
fn process_state(letter: char) -> String {
    match letter {
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

//! The table of groups.

use crate::{
    model::{
        container,
        socket::Endpoint,
        stuck::{group::Group, snapshot::Snapshot},
    },
    view::parts::{
        address::endpoint,
        age::age,
        clean::clean,
        table::{self, Column, left, right},
    },
    view::stuck::held_by::one_of,
};

const COLUMNS: [Column; 9] = [
    right("SOCKETS"),
    right("OLDEST"),
    right("MEDIAN"),
    right("RECV-Q"),
    left("PROCESS"),
    left("STATE"),
    left("REMOTE"),
    left("ACCEPTED"),
    left("IN"),
];

/// The heading, and a line for each group.
pub fn lines(snapshot: &Snapshot) -> Vec<String> {
    let rows: Vec<_> = snapshot
        .groups
        .iter()
        .map(|group| row(group, snapshot))
        .collect();
    table::lines(&COLUMNS, &rows)
}

fn row(group: &Group, snapshot: &Snapshot) -> Vec<String> {
    let owner = group.owner.as_ref();
    let process = owner.and_then(|owner| snapshot.processes.get(&owner.pid));
    let remote = match group.port {
        Some(port) => endpoint(Endpoint {
            address: group.remote,
            port,
        }),
        None => group.remote.to_string(),
    };
    let oldest_ns = snapshot
        .monotonic_ns
        .saturating_sub(group.oldest.moment_ns());
    vec![
        group.sockets.to_string(),
        age(oldest_ns, group.oldest.is_exact()),
        age(group.median_ns, group.median_exact),
        group
            .recv_queue
            .map_or_else(|| "?".into(), |bytes| bytes.to_string()),
        owner.map_or_else(
            || without_owner(group),
            |owner| format!("{}[{}]", clean(&owner.comm), owner.pid),
        ),
        process.map_or_else(|| "?".into(), |process| process_state(process.state)),
        remote,
        match group.unaccepted {
            0 => String::new(),
            all if all == group.sockets => "never".into(),
            some => format!("{some} never"),
        },
        (group.cgroup.as_deref().and_then(container::name)).map_or_else(String::new, |n| clean(&n)),
    ]
}

/// The processes that may be meant, or why there is none.
fn without_owner(group: &Group) -> String {
    let candidates: Vec<_> = (group.candidates.iter())
        .map(|one| (one.pid, one.comm.as_str()))
        .collect();
    match (candidates.is_empty(), group.owner_known) {
        (false, _) => one_of(&candidates),
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

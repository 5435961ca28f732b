//! The table of groups.

use std::collections::HashSet;

use crate::{
    model::{
        cause::{Diagnosis, Leak},
        command, container,
        stuck::{
            group::{Group, Passage, RecvQueues},
            look::ProcessInfo,
            snapshot::Snapshot,
        },
    },
    view::{
        Page,
        layout::{
            paint,
            table::{self, Column, before_pid, before_port, left, right},
        },
        parts::{
            age::age_between,
            candidates::one_process_of,
            clean::clean,
            style::{BAD, GOOD, WARNING},
        },
        stuck::{
            cause::{self, line::Place},
            held_by::CLOSED,
            names::{connection, descriptors},
            residue::Dead,
            rows::{Row, entries::Entry},
            sockets::namespace,
        },
    },
};

/// The table of groups.
pub struct Groups {
    /// The names of its columns.
    pub heading: String,
    /// For each row its line, with colours, and the lines below it.
    pub rows: Vec<(String, Vec<String>)>,
}

/// Those that may leave do so in this order: from the highest number on.
const COLUMNS: [Column<'_>; 18] = [
    right("#").extra(3),
    right("SOCKETS"),
    right("MAY BE").rank(6),
    right("ENTERED").extra(7),
    right("LEFT").extra(8),
    right("OLDEST").rank(5),
    right("MEDIAN").extra(12),
    right("RECV-Q 0/1/+").extra(5),
    left("DESCRIPTORS").extra(6),
    left("PROCESS").rank(1).name(before_pid),
    left("CONNECTION").rank(2).name(before_port),
    left("LEAK").rank(3),
    left("CAUSE").rank(4),
    left("STATE").extra(9),
    left("ACCEPTED").extra(4),
    left("IN").extra(10),
    left("COMMAND").extra(11),
    left("NETNS").rank(3),
];

/// The rows with their numbers, and why they are stuck; with `whole` also all arguments of their processes.
pub fn table(snapshot: &Snapshot, rows: &[Row<'_>], whole: bool, page: Page) -> Groups {
    let mut met = HashSet::new();
    // Where two would read the same without it.
    let with_netns = (snapshot.groups.iter())
        .map(|group| {
            (
                &group.owner,
                &group.candidates,
                connection(group.role, group.ends),
            )
        })
        .any(|one| !met.insert(one));
    let context = Context {
        snapshot,
        whole,
        with_netns,
    };
    let cells: Vec<_> = (1..)
        .zip(rows)
        .map(|(number, row)| match row {
            Row::Stuck(entry, _) => context.stuck(number, entry),
            Row::Dead(dead) => context.dead(number, dead),
        })
        .collect();
    let mut lines = table::lines(&COLUMNS, &cells, page).into_iter();
    let heading = lines.next().unwrap_or_default();
    let place = Place {
        indent: indent(&heading),
        without_descriptors: !heading.contains("DESCRIPTORS"),
    };
    let rows = lines.zip(rows).map(|(line, row)| {
        (
            painted(&line, &heading),
            cause::line::lines(row, place, snapshot, page),
        )
    });
    Groups {
        rows: rows.collect(),
        heading,
    }
}

/// Where the lines below a row begin: below the process.
fn indent(heading: &str) -> usize {
    const MOST: usize = 20;
    heading.find("PROCESS").unwrap_or(0).min(MOST)
}

/// The row with the colours of its cells.
fn painted(line: &str, heading: &str) -> String {
    let leak = |word: &str| match word {
        "yes" => Some(BAD),
        "no" => Some(GOOD),
        "?" => Some(WARNING),
        _ => None,
    };
    let line = paint::word(line, heading, "LEAK", leak);
    match line.split_once(" FULL ") {
        Some((before, after)) => format!("{before} {BAD}FULL{BAD:#} {after}"),
        None => line,
    }
}

struct Context<'a> {
    snapshot: &'a Snapshot,
    whole: bool,
    with_netns: bool,
}

impl Context<'_> {
    fn stuck(&self, number: usize, entry: &Entry<'_>) -> Vec<String> {
        let snapshot = self.snapshot;
        let (first, only) = (entry.first(), entry.only());
        let owner = only.and_then(|group| group.owner.as_ref());
        let process = owner.and_then(|owner| snapshot.processes.get(&owner.pid));
        let oldest = entry.oldest();
        let oldest_ns = (snapshot.monotonic_ns).saturating_sub(oldest.oldest.moment_ns());
        let (sockets, stuck) = (entry.sockets(), entry.count(|group| group.stuck));
        let passage = entry.passage();
        let passed = |of: fn(Passage) -> usize| {
            passage.map_or_else(String::new, |passage| of(passage).to_string())
        };
        let diagnosis = entry.diagnosis();
        let of_only = |text: fn(&Group) -> String| only.map_or_else(String::new, text);
        // Of residue alone none is in the state.
        let of_some = |text: &dyn Fn() -> String| match sockets {
            0 => String::new(),
            _ => text(),
        };
        vec![
            number.to_string(),
            stuck.to_string(),
            match snapshot.may_be() {
                0 => String::new(),
                _ => (sockets - stuck).to_string(),
            },
            passed(|passage| passage.entered),
            passed(|passage| passage.left),
            of_some(&|| age_between(oldest_ns, oldest.oldest_at_most_ns)),
            of_some(&|| of_only(|group| age_between(group.median_ns, group.median_at_most_ns))),
            of_some(&|| recv_queues(&entry.recv_queues())),
            (diagnosis.and_then(|diagnosis| diagnosis.beside.descriptors))
                .filter(|_| only.is_some())
                .map_or_else(String::new, descriptors),
            process_of(entry),
            connection(first.role, entry.ends()),
            diagnosis.map_or_else(String::new, |diagnosis| leak_cell(diagnosis.leak)),
            diagnosis.map_or_else(String::new, causes),
            process.map_or_else(String::new, process_state),
            match entry.count(|group| group.unaccepted) {
                0 => String::new(),
                all if all == sockets => "never".into(),
                some => format!("{some} never"),
            },
            of_only(|group| {
                let name = group.cgroup.as_deref().and_then(container::name);
                name.map_or_else(String::new, |name| clean(&name))
            }),
            only.and_then(|group| command(group, snapshot, self.whole))
                .map_or_else(String::new, |command| clean(&command)),
            match first.netns {
                _ if !self.with_netns => String::new(),
                Some(netns) => namespace(netns, snapshot),
                None => "?".into(),
            },
        ]
    }

    fn dead(&self, number: usize, dead: &Dead<'_>) -> Vec<String> {
        let mut cells = vec![String::new(); COLUMNS.len()];
        cells[0] = number.to_string();
        cells[1] = "0".into();
        if self.snapshot.may_be() > 0 {
            cells[2] = "0".into();
        }
        cells[9] = dead.process();
        cells[10].clone_from(&dead.connection);
        cells[11] = leak_cell(Leak::Unknown);
        cells[12] = "residue".into();
        cells
    }
}

/// Whether it is a leak, in a cell.
pub fn leak_cell(leak: Leak) -> String {
    match leak {
        Leak::Unknown => "?",
        known => known.name(),
    }
    .into()
}

/// The causes that fit: the best, or the best two.
pub fn causes(diagnosis: &Diagnosis) -> String {
    let names: Vec<_> = (diagnosis.causes.iter())
        .map(|cause| cause.name.name())
        .collect();
    match names[..] {
        [] => "?".into(),
        [one] => one.into(),
        [one, other] => format!("{one} or {other}"),
        [one, ref others @ ..] => format!("{one} or {} others", others.len()),
    }
}

/// The process, or the program of several.
fn process_of(entry: &Entry<'_>) -> String {
    let first = entry.first();
    match (entry.only(), &first.owner) {
        (Some(group), None) => without_owner(group),
        (Some(_), Some(owner)) => format!("{}[{}]", clean(&owner.comm), owner.pid),
        (None, owner) => {
            let comm = owner.as_ref().map_or("?", |owner| &owner.comm);
            format!("{} ({})", clean(comm), entry.groups.len())
        }
    }
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

//! Sockets that are dead in the network and still open in a process.

use std::collections::{HashMap, HashSet};

use crate::{
    model::{
        socket::{Endpoint, Role, shown_form},
        stuck::{
            group::Ends,
            residue::{DiedBy, Residue},
            snapshot::Snapshot,
        },
    },
    view::{
        Page,
        layout::{
            table::{self, Column, before_pid, before_port, left, right},
            wrap::wrap,
        },
        parts::{age::age_between, clean::clean, style::HEADING},
        stuck::names::connection,
    },
};

/// How many processes are named.
const NAMED: usize = 3;
/// Lines of the section above its rows, where the sentence fits into two.
pub const ABOVE: usize = 4;

const COLUMNS: [Column; 6] = [
    right("SOCKETS"),
    left("DIED").rank(3),
    left("BY").rank(4),
    left("PROCESS").rank(1).name(before_pid),
    left("CONNECTION").rank(2).name(before_port),
    left("WAS IN").extra(5),
];

/// The note about residue and connects that failed; not yet fit for a terminal.
#[must_use]
pub fn note(snapshot: &Snapshot) -> Option<String> {
    let residue = snapshot.residue.as_deref().unwrap_or_default();
    let mut texts = Vec::new();
    if !residue.is_empty() {
        texts.push(format!(
            "residue: {} dead in the network and still open in a process ({}): {}",
            sockets(residue.len()),
            by_death(residue),
            by_process(residue)
        ));
    }
    texts.extend(failed_connects(snapshot));
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The part of it about connects that failed.
pub fn failed_connects(snapshot: &Snapshot) -> Option<String> {
    let failed = snapshot.failed_connects.as_deref().unwrap_or_default();
    (!failed.is_empty()).then(|| {
        format!(
            "{} of connects that failed still open: {}",
            sockets(failed.len()),
            by_process(failed)
        )
    })
}

/// Residue by process and connection, in so many rows: the section's lines with colours, after a blank one; none
/// without residue, or without room.
pub fn section(snapshot: &Snapshot, most_rows: usize, page: Page) -> Vec<String> {
    let residue = snapshot.residue.as_deref().unwrap_or_default();
    if residue.is_empty() || most_rows == 0 {
        return Vec::new();
    }
    let (are, descriptors, them) = match residue.len() {
        1 => ("is", "with its descriptor", "it"),
        _ => ("are", "a descriptor each", "them"),
    };
    let sentence = format!(
        "{} {are} dead in the network and still open in a process, {descriptors}. ss and netstat do not show {them}.",
        sockets(residue.len())
    );
    let mut lines = vec![String::new()];
    lines.extend(wrap("Residue: ", &sentence, page));
    let rows = rows(residue, snapshot);
    let more = rows.len().saturating_sub(most_rows);
    let table = table::lines(&COLUMNS, &rows, page);
    let table = table.into_iter().take(most_rows.saturating_add(1));
    lines.extend(table.enumerate().map(|(index, row)| match index {
        0 => format!("{HEADING}{row}{HEADING:#}"),
        _ => row,
    }));
    match more {
        0 => {}
        1 => lines.push("… and 1 more row of residue (--all shows it)".into()),
        more => lines.push(format!(
            "… and {more} more rows of residue (--all shows them)"
        )),
    }
    lines
}

/// Residue of one process and one connection.
pub struct Dead<'a> {
    /// The first process that has it open.
    pub holder: Option<(u32, &'a str)>,
    /// The connection, as text shows it.
    pub connection: String,
    /// The sockets.
    pub all: Vec<&'a Residue>,
}

impl Dead<'_> {
    /// The process.
    pub fn process(&self) -> String {
        let name = |(pid, comm): (u32, &str)| format!("{}[{pid}]", clean(comm));
        self.holder.map_or_else(|| "?".into(), name)
    }
}

/// Residue by process and connection, the most sockets first.
pub fn by_holder(residue: &[Residue]) -> Vec<Dead<'_>> {
    let mut by: HashMap<_, Vec<&Residue>> = HashMap::new();
    let connections = Connections::new(residue);
    for one in residue {
        let key = (first_holder(one), connections.of(one));
        by.entry(key).or_default().push(one);
    }
    let mut by: Vec<_> = by.into_iter().collect();
    by.sort_by_key(|((holder, connection), all)| {
        (usize::MAX - all.len(), *holder, connection.clone())
    });
    by.into_iter()
        .map(|((holder, connection), all)| Dead {
            holder,
            connection,
            all,
        })
        .collect()
}

/// What is said below a group about residue of the same process: `and 50 residue: reset by the peer, 50 descriptors
/// still open`; without others in the group it does not begin with `and`.
pub fn beside(all: &[&Residue], others: bool) -> String {
    let descriptors = match all.len() {
        1 => "its descriptor".to_owned(),
        count => format!("{count} descriptors"),
    };
    format!(
        "{}{} residue: {}, {descriptors} still open",
        if others { "and " } else { "" },
        all.len(),
        of_one_kind(all)
    )
}

/// What is said below residue alone.
pub fn alone(dead: &Dead<'_>, now_ns: u64) -> String {
    let (all, of) = (&dead.all, of_one_kind(&dead.all));
    let sum = match of.contains(", ") {
        true => format!("{}: {of}", all.len()),
        false => format!("{} {of}", all.len()),
    };
    let died = match died(all, now_ns) {
        unknown if unknown == "?" => "it is not known when".into(),
        ago => ago,
    };
    let descriptors = match all.len() {
        1 => "its descriptor is still open",
        _ => "their descriptors are still open",
    };
    format!("{sum}, {died}; {descriptors}")
}

/// What they died of, without the number where it is of one kind.
fn of_one_kind(all: &[&Residue]) -> String {
    match by_death(all.iter().copied()) {
        // The number has been said.
        words if !words.contains(", ") => {
            let number = words.find(' ').map_or(0, |at| at + 1);
            words[number..].to_owned()
        }
        words => words,
    }
}

/// A row for each process and connection.
fn rows(residue: &[Residue], snapshot: &Snapshot) -> Vec<Vec<String>> {
    let rows = by_holder(residue).into_iter().map(|dead| {
        vec![
            dead.all.len().to_string(),
            died(&dead.all, snapshot.monotonic_ns),
            of_one_kind(&dead.all),
            dead.process(),
            dead.connection,
            was_in(&dead.all),
        ]
    });
    rows.collect()
}

/// How long ago: the last, and the first.
fn died(all: &[&Residue], now_ns: u64) -> String {
    let ages = all.iter().filter_map(|one| one.died_ns);
    let ages = ages.map(|died_ns| now_ns.saturating_sub(died_ns));
    match (ages.clone().min(), ages.max()) {
        (Some(last), first) => format!("{} ago", age_between(last, first)),
        _ => "?".into(),
    }
}

fn was_in(all: &[&Residue]) -> String {
    let count = |wanted| {
        all.iter()
            .filter(|one| one.was_close_wait == wanted)
            .count()
    };
    match count(Some(true)) {
        0 if count(None) == 0 => "another state".into(),
        0 => "?".into(),
        some if some == all.len() => "CLOSE_WAIT".into(),
        some => format!("CLOSE_WAIT: {some}"),
    }
}

/// Which ends the residue of a process shares: that tells which side it was.
struct Connections(HashMap<(Option<u32>, Ends), usize>);

impl Connections {
    fn new(residue: &[Residue]) -> Self {
        let mut counts = HashMap::new();
        let mut met = HashSet::new();
        for one in residue {
            let pid = first_holder(one).map(|(pid, _)| pid);
            for ends in [to(one), at(one)] {
                // The other end's own ports count, not its connections one after the other.
                if met.insert((pid, ends, one.local, one.remote)) {
                    *counts.entry((pid, ends)).or_default() += 1;
                }
            }
        }
        Self(counts)
    }

    fn of(&self, one: &Residue) -> String {
        let pid = first_holder(one).map(|(pid, _)| pid);
        let count = |ends| self.0.get(&(pid, ends)).copied().unwrap_or(0);
        let (to, at) = (to(one), at(one));
        match (count(to), count(at)) {
            (same_remote, same_port) if same_port > same_remote => connection(Role::Server, at),
            (2.., _) => connection(Role::Client, to),
            _ => connection(Role::Unknown, to),
        }
    }
}

fn to(one: &Residue) -> Ends {
    Ends::To(Endpoint {
        address: shown_form(one.remote.address),
        port: one.remote.port,
    })
}

fn at(one: &Residue) -> Ends {
    Ends::At {
        port: one.local.port,
        address: None,
        from: None,
    }
}

fn first_holder(one: &Residue) -> Option<(u32, &str)> {
    let first = one.holders.first();
    first.map(|holder| (holder.pid, &*holder.comm))
}

/// The number of sockets in words.
pub fn sockets(count: usize) -> String {
    match count {
        1 => "1 socket".into(),
        count => format!("{count} sockets"),
    }
}

/// How many died of what, the most frequent first.
fn by_death<'a>(residue: impl IntoIterator<Item = &'a Residue>) -> String {
    let words = |died_by| match died_by {
        DiedBy::Reset => "reset",
        DiedBy::Timeout => "timed out",
        DiedBy::Destroyed => "destroyed",
        DiedBy::Closed => "closed by both ends",
        DiedBy::Unknown => "unknown how",
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for one in residue {
        *counts.entry(words(one.died_by)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(words, count)| (usize::MAX - count, *words));
    let texts: Vec<_> = counts
        .into_iter()
        .map(|(words, count)| format!("{count} {words}"))
        .collect();
    texts.join(", ")
}

/// How many each process has, the most first.
fn by_process(residue: &[Residue]) -> String {
    let mut counts: HashMap<Option<(u32, &str)>, usize> = HashMap::new();
    for one in residue {
        *counts.entry(first_holder(one)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(process, count)| (usize::MAX - count, *process));
    let more = counts.len().saturating_sub(NAMED);
    let mut texts: Vec<_> = counts
        .into_iter()
        .take(NAMED)
        .map(|(process, count)| match process {
            Some((pid, comm)) => format!("{count} in {comm}[{pid}]"),
            None => format!("{count} in unknown processes"),
        })
        .collect();
    if more > 0 {
        texts.push(format!("and {more} more processes"));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Page, section};
    use crate::{
        fixtures::{busy_look, snapshot},
        view::stuck::fixtures::add_residue,
    };

    #[test]
    fn each_process_and_connection_has_a_row() {
        let mut snapshot = snapshot(busy_look());
        assert!(section(&snapshot, 9, Page::UNLIMITED).is_empty());
        add_residue(&mut snapshot, "python3");
        let texts = [(9, None), (9, Some(60)), (2, Some(80))].map(|(rows, width)| {
            let lines = section(&snapshot, rows, Page::UNLIMITED.with_width(width)).join("\n");
            anstream::adapter::strip_str(&lines).to_string()
        });
        insta::assert_snapshot!(texts.join("\n"));
    }
}

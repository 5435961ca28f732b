//! Sockets that are dead in the network and still open in a process, in one line.

use std::{collections::HashMap, fmt::Write as _};

use crate::model::stuck::{
    residue::{DiedBy, Residue},
    snapshot::Snapshot,
};

/// How many processes are named.
const NAMED: usize = 3;

/// The note about residue and connects that failed; not yet fit for a terminal.
#[must_use]
pub fn note(snapshot: &Snapshot) -> Option<String> {
    let residue = snapshot.residue.as_deref().unwrap_or_default();
    let failed = snapshot.failed_connects.as_deref().unwrap_or_default();
    if residue.is_empty() && failed.is_empty() {
        return None;
    }
    let mut text = String::new();
    if !residue.is_empty() {
        let _ = write!(
            text,
            "residue: {} dead in the network and still open in a process ({}): {}",
            sockets(residue.len()),
            by_death(residue),
            by_process(residue)
        );
    }
    if !failed.is_empty() {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(
            text,
            "{separator}{} of connects that failed still open: {}",
            sockets(failed.len()),
            by_process(failed)
        );
    }
    Some(text)
}

/// The number of sockets in words.
pub fn sockets(count: usize) -> String {
    match count {
        1 => "1 socket".into(),
        count => format!("{count} sockets"),
    }
}

/// How many died of what, the most frequent first.
fn by_death(residue: &[Residue]) -> String {
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
        let first = one.holders.first();
        let process = first.map(|holder| (holder.pid, &*holder.comm));
        *counts.entry(process).or_default() += 1;
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

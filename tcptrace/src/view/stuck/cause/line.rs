//! What speaks for the cause of a group, in a sentence below its row.

use crate::{
    model::{
        cause::{Diagnosis, Evidence, Leak},
        stuck::{group::Group, snapshot::Snapshot},
    },
    view::{
        Page,
        layout::wrap::{cut, wrap},
        parts::clean::clean,
        stuck::{
            cause::{durations::exact, evidence, would_tell::Tell},
            names::{descriptors, other_group, process_in_words},
            residue::{alone, beside},
            rows::Row,
        },
    },
};

/// Lines of evidence on a terminal.
const MOST_LINES: usize = 2;
/// Pieces of evidence.
const MOST_EVIDENCE: usize = 3;
/// Where there is less room than this beside the indentation, there is none.
const LEAST_ROOM: usize = 40;

/// Where the lines stand.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// How far from the left.
    pub indent: usize,
    /// Whether the row does not say how many descriptors its process has left.
    pub without_descriptors: bool,
}

/// The lines below a row of the table of groups, fit for a terminal and no wider than the page; none without a
/// diagnosis. Without a width, each text is one line.
pub fn lines(row: &Row<'_>, place: Place, snapshot: &Snapshot, page: Page) -> Vec<String> {
    let texts = match row {
        Row::Stuck(entry, residue) => {
            let mut texts = Vec::new();
            if let Some(diagnosis) = entry.diagnosis() {
                let mut pieces = reasons(diagnosis, entry.first(), snapshot);
                let used = diagnosis.beside.descriptors;
                let used = used.filter(|_| place.without_descriptors);
                // It is the outage, or comes shortly before it.
                if let Some(used) = used.filter(|used| used.are_nearly_full()) {
                    let full = format!("descriptors {}", descriptors(used));
                    pieces.insert(0, full);
                }
                if let (None, Some(first)) = (entry.only(), pieces.first_mut()) {
                    *first = format!("{}: {first}", process_in_words(entry.first()));
                }
                texts.push(pieces);
            }
            if !residue.is_empty() {
                texts.push(vec![beside(residue, entry.sockets() > 0)]);
            }
            texts
        }
        Row::Dead(dead) => vec![vec![alone(dead, snapshot.monotonic_ns)]],
    };
    let indent = match page.width {
        Some(width) if width < place.indent + LEAST_ROOM => 2,
        _ => place.indent,
    };
    let indent = " ".repeat(indent);
    let texts = texts.iter();
    texts
        .flat_map(|pieces| as_many_as_fit(&indent, pieces, page))
        .collect()
}

/// The first pieces, whole, in as many lines as there may be; the first one always, cut if it must be.
fn as_many_as_fit(indent: &str, pieces: &[String], page: Page) -> Vec<String> {
    let lines = |count: usize| wrap(indent, &clean(&pieces[..count].join("; ")), page);
    let fits = |count: &usize| page.width.is_none() || lines(*count).len() <= MOST_LINES;
    match pieces.len() {
        0 => Vec::new(),
        all => {
            let count = (1..=all).rev().find(fits).unwrap_or(1);
            cut(lines(count), MOST_LINES, page)
        }
    }
}

/// What speaks for the best cause; the cause itself is in the row.
fn reasons(diagnosis: &Diagnosis, group: &Group, snapshot: &Snapshot) -> Vec<String> {
    if diagnosis.causes.is_empty() {
        return vec![untold(diagnosis, group, snapshot)];
    }
    let follows = (diagnosis.follows_from)
        .map(|other| format!("follows from {}", other_group(&other, snapshot)));
    let best = diagnosis.causes.first();
    let evidence = best.map_or(&[][..], |cause| &cause.evidence);
    let evidence = &evidence[..evidence.len().min(MOST_EVIDENCE)];
    let evidence = evidence.iter().map(|one| match one {
        // Which one has been said.
        Evidence::BeganLater { than, by_ns } if diagnosis.follows_from == Some(*than) => {
            format!("began {} later", exact(*by_ns))
        }
        one => evidence::text(one, snapshot),
    });
    follows.into_iter().chain(evidence).collect()
}

/// The sentence where no cause fits: why, or what would tell.
fn untold(diagnosis: &Diagnosis, group: &Group, snapshot: &Snapshot) -> String {
    let because = diagnosis.leak_because.first();
    let because = because.map(|one| evidence::text(one, snapshot));
    let would_tell = || {
        let first = diagnosis.would_tell.first()?;
        Some(Tell::of(*first, group, snapshot).line())
    };
    let text = match diagnosis.leak {
        Leak::Yes => "a leak, of an unknown cause",
        Leak::No => "no leak",
        Leak::Unknown => "cannot tell",
    };
    match because.or_else(would_tell) {
        Some(reason) => format!("{text}: {reason}"),
        None => text.into(),
    }
}

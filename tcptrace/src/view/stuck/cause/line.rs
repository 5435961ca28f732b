//! Why a group is stuck, in a sentence below its row.

use std::fmt::Write as _;

use crate::{
    model::{
        cause::{DescriptorUse, Diagnosis, Evidence, Leak},
        stuck::{group::Group, snapshot::Snapshot},
    },
    view::{
        Page,
        layout::wrap::{cut, wrap},
        parts::clean::clean,
        stuck::{
            cause::{durations::exact, evidence, would_tell::Tell},
            names::other_group,
        },
    },
};

/// Lines on a terminal.
const MOST_LINES: usize = 2;
/// Pieces of evidence.
const MOST_EVIDENCE: usize = 3;
const INDENT: &str = "    → ";

/// The lines below the row of a group, fit for a terminal and no wider than the page; none without a diagnosis.
/// Without a width, all is one line.
pub fn lines(group: &Group, snapshot: &Snapshot, page: Page) -> Vec<String> {
    let Some(diagnosis) = group.diagnosis.as_deref() else {
        return Vec::new();
    };
    let text = clean(&sentence(diagnosis, group, snapshot));
    cut(wrap(INDENT, &text, page), MOST_LINES, page)
}

fn sentence(diagnosis: &Diagnosis, group: &Group, snapshot: &Snapshot) -> String {
    if diagnosis.causes.is_empty() {
        return untold(diagnosis, group, snapshot);
    }
    let names = diagnosis.causes.iter().map(|cause| cause.name.name());
    let mut text = names.collect::<Vec<_>>().join(" or ");
    match (&diagnosis.follows_from, diagnosis.leak) {
        (Some(other), _) => {
            let _ = write!(text, ", follows from {}", other_group(other, snapshot));
        }
        (None, Leak::Yes) => text.push_str(", a leak"),
        (None, Leak::No) => text.push_str(", no leak"),
        (None, Leak::Unknown) => text.push_str(", perhaps a leak"),
    }
    let best = diagnosis.causes.first();
    let evidence = best.map_or(&[][..], |cause| &cause.evidence);
    let evidence = &evidence[..evidence.len().min(MOST_EVIDENCE)];
    let says_full = |one: &Evidence| matches!(one, Evidence::DescriptorsFull { .. });
    let descriptors = (diagnosis.beside.descriptors)
        .filter(|_| !evidence.iter().any(says_full))
        .and_then(descriptors);
    let evidence = evidence.iter().map(|one| match one {
        // Which one has been said.
        Evidence::BeganLater { than, by_ns } if diagnosis.follows_from == Some(*than) => {
            format!("began {} later", exact(*by_ns))
        }
        one => evidence::text(one, snapshot),
    });
    let reasons: Vec<_> = descriptors.into_iter().chain(evidence).collect();
    if !reasons.is_empty() {
        let _ = write!(text, ": {}", reasons.join("; "));
    }
    text
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

/// The descriptors of a process that has hardly any left.
fn descriptors(used: DescriptorUse) -> Option<String> {
    let DescriptorUse { open, limit } = used;
    match used {
        used if used.are_full() => Some(format!("{open} of {limit} descriptors: FULL")),
        used if used.are_nearly_full() => Some(format!("{open} of {limit} descriptors")),
        _ => None,
    }
}

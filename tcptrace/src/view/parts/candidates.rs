//! Several processes of which one is meant.

use serde::Serialize;

use crate::{model::owner::Candidates, view::parts::clean::clean};

/// How many of them are named.
const NAMED: usize = 2;

/// Their names and, where these count, their numbers.
#[must_use]
pub fn one_of<'a>(candidates: impl ExactSizeIterator<Item = (Option<u32>, &'a str)>) -> String {
    let more = candidates.len().saturating_sub(NAMED);
    let name = |(pid, comm): (Option<u32>, &str)| match pid {
        Some(pid) => format!("{}[{pid}]", clean(comm)),
        None => clean(comm),
    };
    let names: Vec<_> = candidates.take(NAMED).map(name).collect();
    match more {
        0 => names.join(" or "),
        more => format!("{} or {more} others", names.join(", ")),
    }
}

/// The same of those of a key.
#[must_use]
pub fn one_of_key(candidates: &Candidates) -> String {
    one_of(candidates.iter().map(|(pid, comm)| (*pid, &**comm)))
}

/// The same of processes that all have numbers.
#[must_use]
pub fn one_process_of(candidates: &[(u32, &str)]) -> String {
    one_of(candidates.iter().map(|(pid, comm)| (Some(*pid), *comm)))
}

/// One of them in JSON.
#[derive(Serialize)]
pub struct CandidateRecord<'a> {
    pid: Option<u32>,
    comm: &'a str,
}

/// Those of a key in JSON.
pub fn records(candidates: &Candidates) -> Vec<CandidateRecord<'_>> {
    let all = candidates.iter();
    all.map(|(pid, comm)| CandidateRecord { pid: *pid, comm })
        .collect()
}

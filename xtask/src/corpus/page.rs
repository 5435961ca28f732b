//! The figures, and the tables of docs/diagnosis.md.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::corpus::{
    Outcome,
    verdict::{Leak, Rank, Said},
};

/// Between these two lines of the page everything is written anew.
const BEGIN: &str = "<!-- written by cargo xtask corpus --write: from here -->";
const END: &str = "<!-- to here -->";

/// How many answers are right.
pub fn figures(ran: &[Outcome]) -> String {
    let mut text = String::new();
    let late = |outcome: &&Outcome| outcome.case.late;
    let rows: [(&str, Vec<&Outcome>); 3] = [
        ("all", ran.iter().collect()),
        (
            "made before the rules stood",
            ran.iter().filter(|outcome| !late(outcome)).collect(),
        ),
        ("made afterwards", ran.iter().filter(late).collect()),
    ];
    text +=
        "| programs | | false leak | false all-clear | leak told | true cause first | named |\n";
    text += "|---|---|---|---|---|---|---|\n";
    for (name, outcomes) in rows.iter().filter(|(_, outcomes)| !outcomes.is_empty()) {
        for (how, said) in [
            ("one look", once as fn(&Outcome) -> &Said),
            ("session", session),
        ] {
            let leak = |wanted| {
                count(outcomes, |outcome| {
                    said(outcome).leak(&outcome.case.truth) == wanted
                })
            };
            let rank = |wanted| {
                count(outcomes, |outcome| {
                    said(outcome).rank(&outcome.case.truth) == wanted
                })
            };
            let all = outcomes.len();
            let first = rank(Rank::First);
            let _ = writeln!(
                text,
                "| {name}: {all} | {how} | {} | {} | {} | {first} | {} |",
                leak(Leak::False),
                leak(Leak::AllClear),
                leak(Leak::Right),
                first + rank(Rank::Named),
            );
        }
    }
    text
}

fn once(outcome: &Outcome) -> &Said {
    &outcome.once
}

fn session(outcome: &Outcome) -> &Said {
    &outcome.session
}

fn count(outcomes: &[&Outcome], is: impl Fn(&Outcome) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

/// Writes the figures and the tables into the page.
///
/// # Errors
/// The page is not there, or has no place for them.
pub fn write(page: &Path, ran: &[Outcome]) -> Result<()> {
    let text =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("the page has no place for the tables")?;
    let (_, after) = rest
        .split_once(END)
        .context("the place for the tables has no end")?;
    let mut tables = figures(ran);
    let mut runtime = "";
    for outcome in ran {
        if outcome.case.runtime != runtime {
            runtime = &outcome.case.runtime;
            let _ = write!(tables, "\n### {runtime}\n\n");
            tables += "| program | truth | one look | session | evidence, and what would tell |\n|---|---|---|---|---|\n";
        }
        tables += &row(outcome);
    }
    fs::write(page, format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))?;
    Ok(())
}

fn row(outcome: &Outcome) -> String {
    let (case, truth) = (&outcome.case, &outcome.case.truth);
    let leak = if truth.leak { "yes" } else { "no" };
    let mut last = outcome
        .session
        .evidence
        .iter()
        .take(2)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if let Some(from) = &outcome.session.follows_from {
        let _ = write!(last, "; follows from {from}");
    }
    if outcome.session.leak == "unknown" {
        let tell = outcome.session.would_tell.first();
        let _ = tell.map(|tell| write!(last, ". Would tell: {tell}"));
    }
    let late = if case.late { " (made last)" } else { "" };
    format!(
        "| `{}`{late}: {} | {leak}: {}. {} | {} | {} | {} |\n",
        case.name.split('/').next_back().unwrap_or_default(),
        cell(&case.title),
        truth.cause,
        cell(&truth.why),
        outcome.once.words(),
        outcome.session.words(),
        cell(&last),
    )
}

/// Numbers of processes and sockets differ from run to run.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

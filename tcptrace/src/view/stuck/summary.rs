//! The summary of a session, for people.

use std::{fmt::Write as _, time::Duration};

use tcptrace_common::TcpState;

use crate::{
    model::{
        cause::{CauseName, Diagnosis, Leak},
        stuck::{group::Group, session::SessionSummary, snapshot::Watched},
    },
    view::{
        Page,
        layout::table::{self, Column, left, right},
        parts::{
            age::{age, age_between},
            clean::clean,
        },
        stuck::names::{connection, process_in_words},
    },
};

const COLUMNS: [Column; 5] = [
    right("SOCKETS"),
    left("PROCESS"),
    left("CONNECTION"),
    left("LEAK"),
    left("CAUSE"),
];

/// The session in numbers: several lines, the last one without a line end.
#[must_use]
pub fn summary(session: &SessionSummary, watched: &Watched, length: Duration) -> String {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let state = watched.state.name();
    let longest = session.longest.map_or_else(
        || "none".into(),
        |(at_least_ns, at_most_ns)| age_between(at_least_ns, at_most_ns),
    );
    let looks = match session.looks {
        1 => "1 look".to_owned(),
        looks => format!("{looks} looks"),
    };
    let mut text = format!("Session of {}, {looks}", age(ns, true));
    let mut line = |label: &str, value: &str| {
        let _ = write!(text, "\n  {label:<24}{value}");
    };
    line("most stuck at once", &session.most_at_once.to_string());
    line(&format!("longest in {state}"), &longest);
    // The kernel side does not know the processes: of theirs, those that came and went between two looks
    // were not seen.
    let bound = if session.at_least { "≥" } else { "" };
    let entered = format!(
        "{bound}{} ({} were in it before)",
        session.entered, session.found
    );
    line(&format!("entered {state}"), &entered);
    let left = match session.residue_of_session {
        count @ 1.. if watched.state == TcpState::CloseWait => {
            format!(
                "{bound}{} ({count} of them dead, not closed: residue)",
                session.left
            )
        }
        _ => format!("{bound}{}", session.left),
    };
    line(&format!("left {state}"), &left);
    let still = match session.still_may_be {
        0 => session.still_stuck.to_string(),
        more => format!("{} ({more} more may be)", session.still_stuck),
    };
    line("still stuck", &still);
    if session.residue > 0 {
        let residue = session.residue;
        line(
            "residue",
            &format!(
                "{residue} (dead in the network, still open in a process: that mends nothing)"
            ),
        );
    }
    if session.lost > 0 {
        let whose = if session.at_least {
            ", of all processes"
        } else {
            ""
        };
        let lost = format!("{}{whose}", session.lost);
        line("did not fit into the map", &lost);
    }
    text + &groups(session)
}

/// A line for each of the largest groups of the last look, below a blank one.
fn groups(session: &SessionSummary) -> String {
    let row = |group: &Group| {
        let diagnosis = group.diagnosis.as_deref();
        vec![
            group.sockets.to_string(),
            clean(&process_in_words(group)),
            connection(group.role, group.ends),
            match diagnosis.map(|diagnosis| diagnosis.leak) {
                None => "",
                Some(Leak::Unknown) => "?",
                Some(known) => known.name(),
            }
            .into(),
            (diagnosis.and_then(Diagnosis::first))
                .map_or("", CauseName::name)
                .into(),
        ]
    };
    let rows: Vec<_> = session.groups.iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut lines = vec![String::new()];
    lines.extend(table::lines(&COLUMNS, &rows, Page::UNLIMITED));
    match session.more_groups {
        0 => {}
        1 => lines.push("… and 1 more group".into()),
        more => lines.push(format!("… and {more} more groups")),
    }
    lines
        .iter()
        .fold(String::new(), |text, line| text + "\n" + line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{self, NOW_NS, SECOND, snapshot},
        view::stuck::fixtures::{add_residue, diagnose},
    };

    #[test]
    fn the_summary_tells_the_session() {
        let snapshot = snapshot(fixtures::busy_look());
        let mut session = SessionSummary::default();
        session.add(&snapshot);
        let text = summary(&session, &snapshot.watched, Duration::from_secs(72));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_died_and_is_still_open_is_no_improvement() {
        let mut snapshot = snapshot(fixtures::busy_look());
        diagnose(&mut snapshot);
        let mut session = SessionSummary::default();
        snapshot.monotonic_ns = NOW_NS - 25 * SECOND;
        session.add(&snapshot);
        snapshot.monotonic_ns = NOW_NS;
        add_residue(&mut snapshot, "a\x1b");
        let more = snapshot.groups[1].clone();
        snapshot.groups.extend(std::iter::repeat_n(more, 22));
        session.add(&snapshot);
        let text = summary(&session, &snapshot.watched, Duration::from_secs(72));
        insta::assert_snapshot!(text);
    }
}

//! The summary of a session, for people.

use std::time::Duration;

use tcptrace_common::TcpState;

use crate::{
    model::{
        cause::Growth,
        stuck::{
            session::{GroupOfSession, SessionSummary},
            snapshot::Watched,
        },
    },
    view::{
        Page,
        layout::{
            plain::ellipsis,
            table::{self, Column, before_pid, before_port, left, right},
            wrap::wrap,
        },
        parts::{
            age::{age, age_between},
            clean::clean,
            clock::span,
            style::{BESIDE, HEADING},
        },
        stuck::{
            groups::{causes, leak_cell},
            names::{connection, descriptors, process_in_words},
        },
    },
};

/// Groups that are named.
const MOST_GROUPS: usize = 10;
/// Those of which it is said when their descriptors run out.
const MOST_OUTLOOKS: usize = 3;
/// Characters of what a command tells.
const WHAT: usize = 28;

const COLUMNS: [Column; 10] = [
    right("ENTERED"),
    right("LEFT"),
    right("STILL"),
    right("MOST").extra(6),
    right("LONGEST").extra(7),
    left("DESCRIPTORS").extra(5),
    left("PROCESS").rank(1).name(before_pid),
    left("CONNECTION").rank(2).name(before_port),
    left("LEAK").rank(3),
    left("CAUSE").rank(4),
];

/// The session by process, and in sum, with colours: several lines, the last one without a line end.
#[must_use]
pub fn summary(
    session: &SessionSummary,
    watched: &Watched,
    length: Duration,
    page: Page,
) -> String {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let looks = match session.looks {
        1 => "1 look".to_owned(),
        looks => format!("{looks} looks"),
    };
    let between = (session.times).map_or_else(String::new, |(from, to)| span(from, to));
    let title = format!("Session of {}, {looks}{between}", age(ns, true));
    let title = wrap("", &title, page).into_iter();
    let mut lines: Vec<_> = title
        .map(|line| format!("{HEADING}{line}{HEADING:#}"))
        .collect();
    lines.push(String::new());
    let groups = session.groups();
    let rows: Vec<_> = (groups.iter().take(MOST_GROUPS))
        .map(|one| row(one))
        .chain([all(session)])
        .collect();
    let mut table = table::lines(&COLUMNS, &rows, page).into_iter();
    lines.extend(
        table
            .next()
            .map(|heading| format!("{HEADING}{heading}{HEADING:#}")),
    );
    lines.extend(table);
    let more = groups.len().saturating_sub(MOST_GROUPS);
    let mut sentence = |text: &str| lines.extend(wrap("", &clean(text), page));
    if more > 0 {
        sentence(&format!("{} and {more} more groups", ellipsis(page.ascii)));
    }
    for text in sentences(session, watched) {
        sentence(&text);
    }
    for text in groups
        .iter()
        .filter_map(|one| outlook(one))
        .take(MOST_OUTLOOKS)
    {
        sentence(&text);
    }
    lines.extend(next(&groups, watched, page));
    lines.join("\n")
}

fn row(one: &GroupOfSession) -> Vec<String> {
    let diagnosis = one.group.diagnosis.as_deref();
    vec![
        one.passage.entered.to_string(),
        one.passage.left.to_string(),
        one.still.to_string(),
        one.most.to_string(),
        age_between(one.longest.0, one.longest.1),
        (diagnosis.and_then(|diagnosis| diagnosis.beside.descriptors))
            .map_or_else(String::new, descriptors),
        clean(&process_in_words(&one.group)),
        connection(one.group.role, one.group.ends),
        diagnosis.map_or_else(String::new, |diagnosis| leak_cell(diagnosis.leak)),
        diagnosis.map_or_else(String::new, causes),
    ]
}

/// The sums.
fn all(session: &SessionSummary) -> Vec<String> {
    // The kernel side does not know the processes: of theirs, those that came and went between two looks
    // were not seen.
    let bound = if session.at_least { "≥" } else { "" };
    let still = match session.still_may_be {
        0 => session.still_stuck.to_string(),
        more => format!("{}–{}", session.still_stuck, session.still_stuck + more),
    };
    let longest = session
        .longest
        .map_or_else(String::new, |(least_ns, most_ns)| {
            age_between(least_ns, most_ns)
        });
    let mut cells = vec![String::new(); COLUMNS.len()];
    cells[0] = format!("{bound}{}", session.entered);
    cells[1] = format!("{bound}{}", session.left);
    cells[2] = still;
    cells[3] = session.most_at_once.to_string();
    cells[4] = longest;
    cells[6] = "all".into();
    cells
}

/// What the table does not say: not yet fit for a terminal.
fn sentences(session: &SessionSummary, watched: &Watched) -> Vec<String> {
    let state = watched.state.name();
    let mut texts = Vec::new();
    let found = match session.found {
        1 => "1 socket was in it before".to_owned(),
        count => format!("{count} sockets were in it before"),
    };
    let most = session.most_at_once;
    texts.push(match session.longest {
        Some((least_ns, most_ns)) => format!(
            "{found}; at most {most} stuck at once; the longest was in {state} for {}.",
            age_between(least_ns, most_ns)
        ),
        None => format!("{found}; none was stuck in {state} at any look."),
    });
    if watched.older_than_ns > 0 && !session.groups().is_empty() {
        let threshold = age(watched.older_than_ns, true);
        texts.push(format!(
            "The rows of processes count what was there for {threshold} or longer, the row \"all\" counts every socket."
        ));
    }
    if session.residue_of_session > 0 && watched.state == TcpState::CloseWait {
        texts.push(format!(
            "{} of those that left are dead, not closed: residue.",
            session.residue_of_session
        ));
    }
    if session.residue > 0 {
        texts.push(format!(
            "{} residue at the end: dead in the network, still open in a process; that mends nothing.",
            session.residue
        ));
    }
    if session.lost > 0 {
        let whose = if session.at_least {
            ", of all processes,"
        } else {
            ""
        };
        texts.push(format!(
            "{} sockets{whose} did not fit into the kernel's map.",
            session.lost
        ));
    }
    texts
}

/// When a process runs out of descriptors: not yet fit for a terminal.
fn outlook(one: &GroupOfSession) -> Option<String> {
    let beside = &one.group.diagnosis.as_deref()?.beside;
    let used = beside.descriptors?;
    let who = process_in_words(&one.group);
    if used.are_full() {
        return Some(format!(
            "{who} is out of descriptors ({} of {}).",
            used.open, used.limit
        ));
    }
    let Some(Growth::Steady { sockets, within_ns }) = beside.growth else {
        return None;
    };
    let (least_ns, most_ns) = beside.runs_out_ns?;
    Some(format!(
        "{who} grows by {sockets} in {}: out of descriptors in {} at that rate.",
        age(within_ns, true),
        age_between(least_ns, most_ns)
    ))
}

/// The commands that lead on, about the largest group.
fn next(groups: &[&GroupOfSession], watched: &Watched, page: Page) -> Vec<String> {
    let Some(first) = groups.first() else {
        return Vec::new();
    };
    let process = first.group.owner.as_ref();
    let pid = process.map_or_else(String::new, |owner| format!(" --pid {}", owner.pid));
    let (explain, state) = match watched.state {
        TcpState::CloseWait => (Some(format!("tcptrace --explain{pid}")), String::new()),
        other => (None, format!(" --state {}", other.name())),
    };
    let commands = [
        ("why, and what to do about it", explain),
        (
            "who opens them, and when",
            Some(format!("tcptrace log{pid}")),
        ),
        (
            "how long they stay",
            Some(format!("tcptrace hist{state} --by comm")),
        ),
        (
            "a recording for later",
            Some("tcptrace log --json -o leak.jsonl.zst".into()),
        ),
    ];
    let commands = commands
        .into_iter()
        .filter_map(|(what, command)| Some((what, command?)));
    let commands: Vec<_> = commands.collect();
    let width = |(_, command): &(&str, String)| 2 + WHAT + 3 + command.len();
    let widest = commands.iter().map(width).max().unwrap_or(0);
    // A command is not wrapped: it is copied.
    let with_words = page.width.is_none_or(|room| widest <= room);
    let commands = commands
        .into_iter()
        .map(|(what, command)| match with_words {
            true => format!("  {BESIDE}{what:<WHAT$}{BESIDE:#}   {command}"),
            false => format!("  {command}"),
        });
    let above = [String::new(), format!("{HEADING}Next{HEADING:#}")];
    above.into_iter().chain(commands).collect()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::{
        fixtures::{self, NOW_NS, SECOND, snapshot},
        model::stuck::group::ProcessName,
        view::stuck::fixtures::{add_residue, diagnose},
    };

    /// At all widths; the widest comes first.
    fn shown(session: &SessionSummary, watched: &Watched) -> String {
        let texts = [None, Some(120), Some(80), Some(60)].map(|width| {
            let page = Page::UNLIMITED.with_width(width);
            let text = summary(session, watched, Duration::from_secs(72), page);
            let text = anstream::adapter::strip_str(&text).to_string();
            let wide = text.lines().find(|line| Some(line.width()) > width);
            assert!(width.is_none() || wide.is_none(), "{wide:?}");
            text
        });
        texts.join("\n\n")
    }

    #[test]
    fn the_summary_tells_the_session() {
        let snapshot = snapshot(fixtures::busy_look());
        let mut session = SessionSummary::default();
        session.add(&snapshot);
        insta::assert_snapshot!(shown(&session, &snapshot.watched));
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
        snapshot.groups.extend((1..20).map(|pid| {
            let mut one = more.clone();
            one.owner = Some(ProcessName {
                pid,
                comm: "b\x1b".into(),
            });
            one
        }));
        session.add(&snapshot);
        insta::assert_snapshot!(shown(&session, &snapshot.watched));
    }
}

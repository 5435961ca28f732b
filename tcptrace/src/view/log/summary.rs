//! The summary of a log, for people.

use std::time::Duration;

use tcptrace_common::TcpState;

use crate::{
    model::tally::Tally,
    view::{Page, layout::wrap::wrap, parts::age::age},
};

/// The log in numbers, and the command that tells more. `more`: what became of its lines.
#[must_use]
pub fn summary(tally: &Tally, length: Duration, more: &[String], page: &Page) -> Vec<String> {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let mut lines = vec![format!("Log of {}", age(ns, true))];
    for figure in figures(tally).iter().chain(more) {
        lines.extend(wrap("  ", figure, *page));
    }
    for caveat in caveats(tally) {
        lines.extend(wrap("  ! ", &caveat, *page));
    }
    if let Some(pid) = tally.open.worst(TcpState::CloseWait) {
        let pid = pid.map_or_else(String::new, |pid| format!(" --pid {pid}"));
        lines.extend(wrap("Why: ", &format!("tcptrace --explain{pid}"), *page));
    }
    lines
}

fn figures(tally: &Tally) -> Vec<String> {
    let mut transitions = counted(tally.transitions, "transition");
    if tally.without_owner > 0 {
        transitions.push_str(&format!(" ({} of unknown owner)", tally.without_owner));
    }
    if tally.lost + tally.skipped + tally.unfollowed == 0 {
        transitions.push_str(", none lost");
    }
    let state = tally.state.name();
    let longest = (tally.longest).map(|(ns, exact)| format!("; longest {}", age(ns, exact)));
    let longest = longest.unwrap_or_default();
    let mut figures = vec![
        transitions,
        format!(
            "{state}: {} entered, {} left, {} still in it{longest}",
            tally.entered, tally.left, tally.still_open,
        ),
    ];
    let mut of_those = |count: u64, what: &str| {
        if count > 0 {
            figures.push(format!("{count} of those that left {what}"));
        }
    };
    let open = match tally.residue {
        all if all == tally.reset_still_open => "and are still open (residue)".into(),
        0 => "while open, and closed since".into(),
        some => format!("while open, {some} of them are still open (residue)"),
    };
    of_those(tally.reset_still_open, &format!("were reset {open}"));
    of_those(
        tally.to_remainder,
        "were closed before the peer: the kernel waits for its FIN unseen (remainders)",
    );
    of_those(tally.unknown_endings, "ended, not known how");
    figures
}

fn caveats(tally: &Tally) -> Vec<String> {
    let times = |count: u64| match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let all = [
        (
            tally.lost,
            format!(
                "{} lost: the buffer was full; enlarge it with --buffer, or use filters",
                counted(tally.lost, "transition")
            ),
        ),
        (
            tally.untracked,
            format!(
                "{} not kept: the table was full: owners and durations are unknown; enlarge it with --max-sockets",
                counted(tally.untracked, "socket")
            ),
        ),
        (
            tally.skipped,
            format!(
                "{} of the programs skipped by the kernel: their transitions are missing",
                counted(tally.skipped, "run")
            ),
        ),
        (
            tally.unnamed_groups,
            format!(
                "the control group of an owner was unknown {}: removed, out of reach, or not looked up in time",
                times(tally.unnamed_groups)
            ),
        ),
        (
            tally.unfollowed,
            format!(
                "children were not followed {}: too many at a time: their transitions are missing",
                times(tally.unfollowed)
            ),
        ),
    ];
    let some = all.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(_, caveat)| caveat).collect()
}

fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tally: &Tally) -> String {
        let page = Page::UNLIMITED.with_width(Some(80));
        let written = ["7 lines written in 1 file: /a".to_owned()];
        summary(tally, Duration::from_secs(62), &written, &page).join("\n")
    }

    #[test]
    fn losses_are_told_only_where_there_are_some() {
        let mut tally = Tally::new(TcpState::CloseWait);
        tally.transitions = 120;
        tally.longest = Some((31_000_000_000, false));
        insta::assert_snapshot!("quiet", text(&tally));
        (tally.left, tally.reset_still_open) = (60, 50);
        for (residue, words) in [
            (
                50,
                "50 of those that left were reset and are still open (residue)",
            ),
            (
                40,
                "50 of those that left were reset while open, 40 of them are still open (residue)",
            ),
            (
                0,
                "50 of those that left were reset while open, and closed since",
            ),
        ] {
            tally.residue = residue;
            let text = text(&tally).replace("\n  ", " ");
            assert!(text.contains(words), "{text}");
        }
        (tally.residue, tally.to_remainder, tally.unknown_endings) = (50, 3, 2);
        tally.without_owner = 2;
        (tally.lost, tally.untracked, tally.skipped) = (12, 3, 1);
        insta::assert_snapshot!("lossy", text(&tally));
    }
}

//! The summary of a log, for people.

use std::{fmt::Write as _, time::Duration};

use crate::{model::tally::Tally, view::parts::age::age};

/// The log in numbers: several lines, the last one without a line end.
#[must_use]
pub fn summary(tally: &Tally, length: Duration) -> String {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let state = tally.state.name();
    let mut text = format!("Log of {}", age(ns, true));
    let mut line = |label: &str, value: &str| {
        let _ = write!(text, "\n  {label:<26}{value}");
    };
    let mut transitions = tally.transitions.to_string();
    if tally.without_owner > 0 {
        let _ = write!(transitions, " ({} of unknown owner)", tally.without_owner);
    }
    line("transitions", &transitions);
    line(&format!("entered {state}"), &tally.entered.to_string());
    line(&format!("left {state}"), &tally.left.to_string());
    if tally.reset_still_open > 0 {
        let open = match tally.residue {
            all if all == tally.reset_still_open => "and are still open (residue)".into(),
            0 => "while open, and closed since".into(),
            some => format!("while open, {some} of them are still open (residue)"),
        };
        let value = format!("{} were reset {open}", tally.reset_still_open);
        line("  of those that left", &value);
    }
    if tally.to_remainder > 0 {
        let value = format!(
            "{} were closed before the peer: the kernel waits for its FIN unseen (remainders)",
            tally.to_remainder
        );
        line("  of those that left", &value);
    }
    if tally.unknown_endings > 0 {
        let value = format!("{} ended, not known how", tally.unknown_endings);
        line("  of those that left", &value);
    }
    let longest = tally.longest.map(|(ns, exact)| age(ns, exact));
    line(
        &format!("longest in {state}"),
        longest.as_deref().unwrap_or("none"),
    );
    line(&format!("still in {state}"), &tally.still_open.to_string());
    if tally.lost > 0 {
        let advice = "the buffer was full; enlarge it with --buffer, or use filters";
        line("lost transitions", &format!("{} ({advice})", tally.lost));
    }
    if tally.untracked > 0 {
        let advice = "the table was full: owners and durations are unknown; enlarge it with \
                      --max-sockets";
        line(
            "sockets not kept",
            &format!("{} ({advice})", tally.untracked),
        );
    }
    if tally.skipped > 0 {
        let advice = "by the kernel: their transitions are missing";
        line("runs skipped", &format!("{} ({advice})", tally.skipped));
    }
    if tally.unnamed_groups > 0 {
        let advice = "times of an owner: removed, out of reach, or not looked up in time";
        line(
            "control groups unknown",
            &format!("{} ({advice})", tally.unnamed_groups),
        );
    }
    if tally.unfollowed > 0 {
        let advice = "too many at a time: their transitions are missing";
        line(
            "children not followed",
            &format!("{} ({advice})", tally.unfollowed),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;

    #[test]
    fn losses_are_told_only_where_there_are_some() {
        let mut tally = Tally::new(TcpState::CloseWait);
        tally.transitions = 120;
        tally.longest = Some((31_000_000_000, false));
        insta::assert_snapshot!("quiet", summary(&tally, Duration::from_secs(60)));
        (tally.left, tally.reset_still_open) = (60, 50);
        for (residue, words) in [
            (50, "50 were reset and are still open (residue)"),
            (
                40,
                "50 were reset while open, 40 of them are still open (residue)",
            ),
            (0, "50 were reset while open, and closed since"),
        ] {
            tally.residue = residue;
            let text = summary(&tally, Duration::from_secs(60));
            assert!(text.contains(words), "{text}");
        }
        (tally.residue, tally.to_remainder, tally.unknown_endings) = (50, 3, 2);
        tally.without_owner = 2;
        (tally.lost, tally.untracked, tally.skipped) = (12, 3, 1);
        insta::assert_snapshot!("lossy", summary(&tally, Duration::from_secs(60)));
    }
}

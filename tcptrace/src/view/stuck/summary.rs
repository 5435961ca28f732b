//! The summary of a session, for people.

use std::{fmt::Write as _, time::Duration};

use crate::{
    model::stuck::{session::SessionSummary, snapshot::Watched},
    view::parts::age::{age, age_between},
};

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
    line(
        &format!("left {state}"),
        &format!("{bound}{}", session.left),
    );
    let still = match session.still_may_be {
        0 => session.still_stuck.to_string(),
        more => format!("{} ({more} more may be)", session.still_stuck),
    };
    line("still stuck", &still);
    if session.residue > 0 {
        let residue = format!("{} (reset or timed out, still open)", session.residue);
        line("residue", &residue);
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
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, snapshot};

    #[test]
    fn the_summary_tells_the_session() {
        let snapshot = snapshot(fixtures::busy_look());
        let mut session = SessionSummary::default();
        session.add(&snapshot);
        let text = summary(&session, &snapshot.watched, Duration::from_secs(72));
        insta::assert_snapshot!(text);
    }
}

//! The summary of a session, for people.

use std::{fmt::Write as _, time::Duration};

use crate::{
    model::stuck::{session::SessionSummary, snapshot::Watched},
    view::parts::age::age,
};

/// The session in numbers: several lines, the last one without a line end.
#[must_use]
pub fn summary(session: &SessionSummary, watched: &Watched, length: Duration) -> String {
    let ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let state = watched.state.name();
    let longest = session.longest.map_or_else(
        || "none".into(),
        |(longest_ns, exact)| age(longest_ns, exact),
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
    let entered = format!("{} ({} were in it before)", session.entered, session.found);
    line(&format!("entered {state}"), &entered);
    line(&format!("left {state}"), &session.left.to_string());
    line("still stuck", &session.still_stuck.to_string());
    if session.lost > 0 {
        line("not kept (map full)", &session.lost.to_string());
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
        session.add(&snapshot, 0, 0);
        let text = summary(&session, &snapshot.watched, Duration::from_secs(72));
        insta::assert_snapshot!(text);
    }
}

//! Tables for people.

use crate::{
    model::stuck::snapshot::Snapshot,
    view::{
        Page, View,
        parts::{
            clean::clean,
            style::{HEADING, WARNING},
        },
        stuck::{
            groups,
            headline::{headline, scope, warnings},
            notes::notes,
            sockets,
        },
    },
};

/// Groups and sockets shown without a screen that they have to fit on.
const ROWS_WITHOUT_SCREEN: usize = 50;
/// Sockets shown even on the smallest screen.
const LEAST_ROWS: usize = 5;

/// How many sockets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// All.
    None,
    /// At most this many.
    Rows(usize),
    /// What fits.
    Screen,
}

/// A table of groups and one of sockets, with colours.
pub struct Text {
    limit: Limit,
    arguments: bool,
}

impl Text {
    /// Shows this number of sockets; with `arguments` also those of the processes.
    #[must_use]
    pub fn new(limit: Limit, arguments: bool) -> Self {
        Self { limit, arguments }
    }
}

impl View<Snapshot> for Text {
    fn show(&mut self, snapshot: &Snapshot, page: &Page, out: &mut Vec<u8>) {
        out.extend_from_slice(render(snapshot, self.limit, self.arguments, page).as_bytes());
    }
}

/// The snapshot as text, with colours.
pub(super) fn render(snapshot: &Snapshot, limit: Limit, arguments: bool, page: &Page) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&headline(snapshot));
    let scope = scope(snapshot);
    scope.iter().for_each(|one| line(one));
    let notes = notes(snapshot);
    for note in &notes {
        line(&clean(note));
    }
    let warnings = warnings(snapshot);
    for warning in &warnings {
        line(&format!("{WARNING}warning: {}{WARNING:#}", clean(warning)));
    }
    if snapshot.sockets.is_empty() {
        return text;
    }
    let groups = groups::lines(snapshot, arguments, page.width);
    let group_rows = match (limit, page.height) {
        (Limit::None, _) => usize::MAX,
        (_, None) => ROWS_WITHOUT_SCREEN + 1,
        (_, Some(height)) => (height / 2).max(LEAST_ROWS) + 1,
    };
    let above = scope.len() + warnings.len() + notes.len();
    let used = 4 + groups.len().min(group_rows.saturating_add(1)) + above;
    let rows = match (limit, page.height) {
        (Limit::None, _) => usize::MAX,
        (Limit::Rows(rows), _) => rows,
        (Limit::Screen, None) => ROWS_WITHOUT_SCREEN,
        (Limit::Screen, Some(height)) => height.saturating_sub(used + 2).max(LEAST_ROWS),
    };
    line("");
    table_text(&groups, group_rows, &mut line);
    line("");
    let sockets = sockets::lines(snapshot, rows, page.width);
    table_text(&sockets, usize::MAX, &mut line);
    match snapshot.sockets.len().saturating_sub(rows) {
        0 => {}
        1 => line("… and 1 more socket (--all shows it)"),
        hidden => line(&format!("… and {hidden} more sockets (--all shows them)")),
    }
    text
}

fn table_text(lines: &[String], rows: usize, line: &mut impl FnMut(&str)) {
    for (index, row) in lines.iter().enumerate().take(rows) {
        if index == 0 {
            line(&format!("{HEADING}{row}{HEADING:#}"));
        } else {
            line(row);
        }
    }
    if lines.len() > rows {
        match lines.len() - rows {
            1 => line("… and 1 more group (--all shows it)"),
            hidden => line(&format!("… and {hidden} more groups (--all shows them)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, snapshot};
    use crate::model::caveat::Caveat;

    const SMALL: Page = Page {
        width: Some(60),
        height: Some(24),
    };

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn groups_come_first_then_the_oldest_sockets() {
        let text = render(
            &snapshot(fixtures::busy_look()),
            Limit::None,
            false,
            &Page::UNLIMITED,
        );
        insta::assert_snapshot!(plain(&text));
    }

    #[test]
    fn an_idle_machine_is_one_line() {
        let mut look = fixtures::look();
        look.listed = (1..=3)
            .map(|cookie| {
                let local = fixtures::end("10.0.0.1", 1000);
                fixtures::listed(cookie, local, fixtures::end("10.0.0.2", 80), 6)
            })
            .collect();
        insta::assert_snapshot!(plain(&render(
            &snapshot(look),
            Limit::Screen,
            false,
            &Page::UNLIMITED
        )));
    }

    #[test]
    fn what_was_lost_is_said() {
        let mut look = fixtures::busy_look();
        look.tracing.lost = 12;
        look.tracing.recursion_misses = Some(2);
        look.caveats = vec![Caveat::UnknownHolders("\x1b[31mred".into())];
        look.held = None;
        let text = render(&snapshot(look), Limit::Rows(2), false, &Page::UNLIMITED);
        insta::assert_snapshot!(plain(&text));
    }

    #[test]
    fn a_small_screen_shows_a_few_rows_and_says_so() {
        let mut look = fixtures::look();
        look.listed = (1..200)
            .map(|cookie| {
                let port = 1000 + u16::try_from(cookie).expect("small");
                let local = fixtures::end("10.0.0.1", port);
                fixtures::listed(cookie, local, fixtures::end("10.0.0.2", 80), 60)
            })
            .collect();
        let text = render(&snapshot(look), Limit::Screen, false, &SMALL);
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.contains("more sockets (--all shows them)"), "{text}");
        let rows = plain(&text);
        assert!(
            rows.lines().skip(1).all(|row| row.chars().count() <= 60),
            "{rows}"
        );
    }

    /// On 80 columns, with what is longest: a remote of IPv6, a v4-mapped one, and a socket that several
    /// processes hold.
    #[test]
    fn a_narrow_terminal_cuts_no_figure() {
        let mut look = fixtures::busy_look();
        look.listed[0].local = fixtures::end("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff01", 40001);
        look.listed[0].remote = fixtures::end("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff02", 8080);
        look.listed[1].remote = fixtures::end("::ffff:10.0.0.7", 8080);
        let snapshot = snapshot(look);
        let page = |width| Page {
            width: Some(width),
            height: None,
        };
        let text = |width| plain(&render(&snapshot, Limit::Screen, false, &page(width)));
        for width in 40..120 {
            let text = text(width);
            let rows = text.lines().skip(1);
            for row in rows.filter(|row| row.contains(':')) {
                assert!(
                    row.contains(":8080") || row.contains(":443"),
                    "{width}: {text}"
                );
            }
        }
        insta::assert_snapshot!([80, 60].map(text).join("\n"));
    }

    #[test]
    fn groups_are_limited_without_a_screen_too() {
        let mut look = fixtures::look();
        look.listed = (1..200)
            .map(|cookie| {
                let port = 1000 + u16::try_from(cookie).expect("small");
                let (local, remote) = ("10.0.0.1", fixtures::end("10.0.0.2", port));
                fixtures::listed(cookie, fixtures::end(local, port), remote, 60)
            })
            .collect();
        let text = |limit| {
            plain(&render(
                &snapshot(look.clone()),
                limit,
                false,
                &Page::UNLIMITED,
            ))
        };
        let short = text(Limit::Screen);
        assert!(
            short.contains("… and 149 more groups (--all shows them)"),
            "{short}"
        );
        assert!(text(Limit::None).lines().count() > 400);
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let mut look = fixtures::busy_look();
        fixtures::call_holders(&mut look, "\x1b]0;owned\x07\u{9b}2J\n");
        let text = plain(&render(
            &snapshot(look),
            Limit::None,
            false,
            &Page::UNLIMITED,
        ));
        let hostile = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(hostile), "{text:?}");
        assert_eq!(text.lines().count(), 1 + 1 + 3 + 1 + 5, "{text}");
    }
}

//! Tables for people.

use crate::{
    model::{request::Explain, stuck::snapshot::Snapshot},
    view::{
        Page, View,
        parts::style::{BESIDE, HEADING},
        stuck::{
            explained,
            groups::{self, Groups},
            headline::top,
            residue, sockets,
        },
    },
};

/// Groups and sockets shown without a screen that they have to fit on.
const ROWS_WITHOUT_SCREEN: usize = 50;
/// Sockets shown even on the smallest screen.
const LEAST_ROWS: usize = 5;
/// Rows of residue on a screen.
const RESIDUE_ROWS: usize = 3;
/// The headline, the names of the sockets' columns, and two blank lines.
const LEAST_USED: usize = 4;

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
    explain: Option<Explain>,
}

impl Text {
    /// Shows this number of sockets, or explains; with `arguments` also those of the processes.
    #[must_use]
    pub fn new(limit: Limit, arguments: bool, explain: Option<Explain>) -> Self {
        Self {
            limit,
            arguments,
            explain,
        }
    }
}

impl View<Snapshot> for Text {
    fn show(&mut self, snapshot: &Snapshot, page: &Page, out: &mut Vec<u8>) {
        let text = match self.explain {
            Some(explain) => explained::render(snapshot, explain, page),
            None => render(snapshot, self.limit, self.arguments, page),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// The snapshot as text, with colours.
pub(super) fn render(snapshot: &Snapshot, limit: Limit, arguments: bool, page: &Page) -> String {
    let mut lines = top(snapshot);
    let residue_rows = match (limit, page.height) {
        (Limit::None, _) => usize::MAX,
        (_, None) => residue::ROWS,
        (_, Some(_)) => RESIDUE_ROWS,
    };
    let residue = residue::section(snapshot, residue_rows, *page);
    if snapshot.sockets.is_empty() {
        lines.extend(residue);
        return lines.join("\n") + "\n";
    }
    // The headline is among what is always there.
    let above = lines.len() - 1 + residue.len();
    let groups = groups::table(snapshot, arguments, *page);
    let groups = group_lines(
        &groups,
        limit,
        page.height.map(|height| room_for_groups(height, above)),
    );
    let used = LEAST_USED + groups.len() + above;
    let rows = match (limit, page.height) {
        (Limit::None, _) => usize::MAX,
        (Limit::Rows(rows), _) => rows,
        (Limit::Screen, None) => ROWS_WITHOUT_SCREEN,
        (Limit::Screen, Some(height)) => height.saturating_sub(used + 2).max(LEAST_ROWS),
    };
    lines.push(String::new());
    lines.extend(groups);
    lines.extend(residue);
    lines.push(String::new());
    let sockets = sockets::lines(snapshot, rows, *page);
    lines.extend(
        sockets
            .into_iter()
            .enumerate()
            .map(|(index, row)| match index {
                0 => format!("{HEADING}{row}{HEADING:#}"),
                _ => row,
            }),
    );
    match snapshot.sockets.len().saturating_sub(rows) {
        0 => {}
        1 => lines.push("… and 1 more socket (--all shows it)".into()),
        hidden => lines.push(format!("… and {hidden} more sockets (--all shows them)")),
    }
    lines.join("\n") + "\n"
}

/// Lines for groups on a screen: half of it, unless a few sockets need more.
fn room_for_groups(height: usize, above: usize) -> usize {
    // Behind groups and sockets there may be a line that says how many more there are.
    let others = LEAST_USED + above + LEAST_ROWS + 3;
    (height / 2)
        .min(height.saturating_sub(others))
        .max(LEAST_ROWS)
}

/// The groups that there is room for, each with the lines below it.
fn group_lines(groups: &Groups, limit: Limit, room: Option<usize>) -> Vec<String> {
    let (most_groups, most_lines) = match (limit, room) {
        (Limit::None, _) => (usize::MAX, usize::MAX),
        (_, None) => (ROWS_WITHOUT_SCREEN, usize::MAX),
        (_, Some(lines)) => (usize::MAX, lines),
    };
    let mut lines = vec![format!("{HEADING}{}{HEADING:#}", groups.heading)];
    let mut shown = 0;
    for (row, below) in groups.rows.iter().take(most_groups) {
        if shown > 0 && lines.len() + below.len() >= most_lines {
            break;
        }
        lines.push(row.clone());
        let below = below.iter();
        lines.extend(below.map(|one| format!("{BESIDE}{one}{BESIDE:#}")));
        shown += 1;
    }
    match groups.rows.len() - shown {
        0 => {}
        1 => lines.push("… and 1 more group (--all shows it)".into()),
        hidden => lines.push(format!("… and {hidden} more groups (--all shows them)")),
    }
    lines
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::{
        fixtures::{self, snapshot},
        model::caveat::Caveat,
        view::stuck::fixtures::{diagnose, everything, idle_or_leased, untold},
    };

    const SMALL: Page = Page {
        width: Some(60),
        height: Some(24),
        ascii: false,
    };

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    /// Sockets towards 199 remotes.
    fn many_groups() -> crate::model::stuck::look::Look {
        let mut look = fixtures::look();
        look.listed = (1..200)
            .map(|cookie| {
                let port = 1000 + u16::try_from(cookie).expect("small");
                let (local, remote) = ("10.0.0.1", fixtures::end("10.0.0.2", port));
                fixtures::listed(cookie, fixtures::end(local, port), remote, 60)
            })
            .collect();
        look
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

    #[test]
    fn why_a_group_is_stuck_stands_below_it() {
        let mut snapshot = snapshot(fixtures::busy_look());
        diagnose(&mut snapshot);
        let at = |snapshot: &Snapshot, width| {
            let page = Page {
                width,
                height: None,
                ascii: false,
            };
            plain(&render(snapshot, Limit::Rows(1), false, &page))
        };
        let mut texts = [None, Some(100), Some(60)]
            .map(|width| at(&snapshot, width))
            .to_vec();
        snapshot.groups[0].diagnosis = Some(Box::new(idle_or_leased()));
        snapshot.groups[1].diagnosis = Some(Box::new(untold()));
        texts.push(at(&snapshot, Some(80)));
        insta::assert_snapshot!(texts.join("\n"));
    }

    #[test]
    fn whatever_the_width_no_line_is_wider_and_whatever_the_height_the_screen_is_no_longer() {
        let look = many_groups();
        let (busy, mut snapshot) = (snapshot(fixtures::busy_look()), snapshot(look));
        let everything = everything(&busy);
        for group in &mut snapshot.groups {
            group.diagnosis = Some(Box::new(everything.clone()));
        }
        for (width, height) in (20..140).zip((20..60).cycle()) {
            let page = Page {
                width: Some(width),
                height: Some(height),
                ascii: false,
            };
            let text = plain(&render(&snapshot, Limit::Screen, false, &page));
            assert!(text.lines().count() < height, "{height}: {text}");
            let why: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("    "))
                .collect();
            assert!(why.len() >= 4, "{text}");
            assert!(
                why.iter().all(|line| line.width() <= width),
                "{width}: {text}"
            );
        }
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
            ascii: false,
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
        let look = many_groups();
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

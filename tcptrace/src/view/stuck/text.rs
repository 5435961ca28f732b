//! Tables for people.

use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{request::Explain, stuck::snapshot::Snapshot},
    view::{
        Page, View,
        layout::{
            plain::ellipsis,
            wrap::{cut, wrap},
        },
        parts::{
            clean::clean,
            style::{BESIDE, HEADING},
        },
        stuck::{
            explained,
            groups::{self, Groups},
            headline::{caveats, top},
            notes::beside_text,
            residue,
            rows::rows,
            sockets,
        },
    },
};

/// Groups and sockets shown without a screen that they have to fit on.
const ROWS_WITHOUT_SCREEN: usize = 50;
/// A screen has a line for a caveat for each so many of its lines.
const LINES_A_CAVEAT: usize = 8;
const MOST_CAVEATS: usize = 4;
/// With fewer lines for sockets, notes are left out.
const ROOM_FOR_SOCKETS: usize = 4;

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

/// The snapshot as text, with colours. What is important comes first; sockets get the lines that are left.
pub(super) fn render(snapshot: &Snapshot, limit: Limit, arguments: bool, page: &Page) -> String {
    let rows = rows(snapshot);
    let mut lines = top(snapshot, &rows, *page);
    // The cursor is on the last line.
    let height = (page.height)
        .filter(|_| limit != Limit::None)
        .map(|height| height.saturating_sub(1));
    let most = height.map_or(usize::MAX, |height| {
        (height / LINES_A_CAVEAT).clamp(1, MOST_CAVEATS)
    });
    let whole = page.width.is_none() || limit == Limit::None;
    let caveats = caveats(snapshot, whole, most, *page);
    let left = |used: usize| height.map(|height| height.saturating_sub(used + caveats.len()));
    if !rows.is_empty() {
        lines.push(String::new());
        let groups = groups::table(snapshot, &rows, arguments, *page);
        lines.extend(group_lines(&groups, limit, left(lines.len()), *page));
    }
    // What is no answer to any of the questions goes before the sockets do.
    let mut notes = Vec::new();
    if !rows.is_empty() {
        let texts = beside_text(snapshot).into_iter();
        notes.extend(texts.flat_map(|text| {
            let lines = wrap("", &clean(&text), *page);
            if whole { lines } else { cut(lines, 1, *page) }
        }));
    }
    notes.truncate(left(lines.len() + ROOM_FOR_SOCKETS).unwrap_or(usize::MAX));
    let room = left(lines.len() + notes.len());
    let listed = socket_lines(snapshot, limit, room, *page);
    lines.extend(listed);
    lines.extend(notes.into_iter().map(dimmed));
    if limit == Limit::None {
        lines.extend(residue::section(snapshot, usize::MAX, *page));
    }
    lines.extend(caveats);
    lines.join("\n") + "\n"
}

/// The table of sockets, in so many lines, with a blank one above it; nothing where not even one has room.
fn socket_lines(snapshot: &Snapshot, limit: Limit, room: Option<usize>, page: Page) -> Vec<String> {
    // A blank line and the names of the columns.
    const ABOVE: usize = 2;
    let all = snapshot.sockets.len();
    let rows = match (limit, room) {
        (Limit::None, _) => usize::MAX,
        (Limit::Rows(rows), _) => rows,
        (Limit::Screen, None) => ROWS_WITHOUT_SCREEN,
        // The last line says how many more there are, or what is the same for all.
        (Limit::Screen, Some(room)) if all + ABOVE < room => all,
        (Limit::Screen, Some(room)) => room.saturating_sub(ABOVE + 1),
    };
    if all == 0 {
        return Vec::new();
    }
    let (same, sockets) = sockets::lines(snapshot, rows, page);
    let more = match all.saturating_sub(rows) {
        0 => String::new(),
        1 => format!("{} 1 more socket: --all", ellipsis(page.ascii)),
        more => format!("{} {more} more sockets: --all", ellipsis(page.ascii)),
    };
    let below = match (more.is_empty(), same.is_empty()) {
        (false, false) => format!("{more}   (on all: {same})"),
        (true, false) => format!("On all: {same}"),
        (_, true) => more.clone(),
    };
    let below = match page.width {
        Some(width) if below.width() > width => more,
        _ => below,
    };
    let mut lines = Vec::new();
    if rows > 0 {
        lines.push(String::new());
        lines.extend(
            sockets
                .into_iter()
                .enumerate()
                .map(|(index, row)| match index {
                    0 => format!("{HEADING}{row}{HEADING:#}"),
                    _ => row,
                }),
        );
    }
    lines.extend((!below.is_empty()).then(|| dimmed(below)));
    lines.truncate(
        room.filter(|_| limit == Limit::Screen)
            .unwrap_or(usize::MAX),
    );
    lines
}

fn dimmed(text: impl AsRef<str>) -> String {
    format!("{BESIDE}{}{BESIDE:#}", text.as_ref())
}

/// The groups that there is room for, each with the lines below it.
fn group_lines(groups: &Groups, limit: Limit, room: Option<usize>, page: Page) -> Vec<String> {
    let (most_groups, most_lines) = match (limit, room) {
        (Limit::None, _) => (usize::MAX, usize::MAX),
        (_, None) => (ROWS_WITHOUT_SCREEN, usize::MAX),
        (_, Some(lines)) => (usize::MAX, lines),
    };
    let mut lines = vec![format!("{HEADING}{}{HEADING:#}", groups.heading)];
    let mut shown = 0;
    for (row, below) in groups.rows.iter().take(most_groups) {
        // Behind it there may be a line that says how many more there are.
        let others = usize::from(shown + 1 < groups.rows.len());
        if shown > 0 && lines.len() + 1 + below.len() + others > most_lines {
            break;
        }
        let room = most_lines.saturating_sub(lines.len() + 1 + others);
        lines.push(row.clone());
        if room > 0 {
            lines.extend(cut(below.clone(), room, page).iter().map(dimmed));
        }
        shown += 1;
    }
    match groups.rows.len() - shown {
        0 => {}
        1 => lines.push(dimmed(format!(
            "{} 1 more group: --all",
            ellipsis(page.ascii)
        ))),
        more => lines.push(dimmed(format!(
            "{} {more} more groups: --all",
            ellipsis(page.ascii)
        ))),
    }
    lines
}

//! Why each group is stuck, at length.

use crate::{
    model::{request::Explain, stuck::snapshot::Snapshot},
    view::{
        Page,
        layout::{plain::ellipsis, wrap::wrap},
        parts::{clean::clean, style::HEADING},
        stuck::{
            cause::block,
            headline::{caveats, top},
            notes::beside_text,
            residue,
            rows::entries::entries,
            rows::{Row, rows},
        },
    },
};

/// The snapshot as text, with colours: a block for each row of the table of groups, or for one of them.
pub fn render(snapshot: &Snapshot, explain: Explain, page: &Page) -> String {
    let rows = rows(snapshot);
    let mut lines = top(snapshot, &rows, *page);
    let caveats = caveats(snapshot, true, usize::MAX, *page);
    let stuck = || {
        rows.iter().filter_map(|row| match row {
            Row::Stuck(entry, _) => Some(entry),
            Row::Dead(_) => None,
        })
    };
    let all = stuck().count();
    // Behind the last block there may be a line that says how many more there are; and the caveats.
    let room = page
        .height
        .map(|height| height.saturating_sub(2 + caveats.len()));
    let (first, count) = match explain {
        Explain::All => (1, all),
        Explain::Group(number) => (number, 1),
    };
    let chosen = (1..).zip(stuck());
    let chosen = chosen.skip(first.saturating_sub(1)).take(count);
    let mut shown = 0;
    for (number, entry) in chosen {
        let (heading, block) = block::lines(number, entry, snapshot, *page);
        let block = heading
            .into_iter()
            .map(|line| format!("{HEADING}{line}{HEADING:#}"))
            .chain(block);
        let mut block: Vec<_> = block.collect();
        if let Some(room) = room {
            let left = room.saturating_sub(lines.len() + 1);
            if block.len() > left && shown > 0 {
                break;
            }
            if block.len() > left.max(2) {
                block.truncate(left.max(2) - 1);
                block.push(format!("{} (--once shows all of it)", ellipsis(page.ascii)));
            }
        }
        lines.push(String::new());
        lines.extend(block);
        shown += 1;
    }
    match explain {
        Explain::Group(number) if shown == 0 => {
            let missing = missing(number, all);
            lines.push(format!("--explain={number}: {missing}"));
        }
        Explain::All if shown < all => {
            let more = match all - shown {
                1 => "1 more group".to_owned(),
                more => format!("{more} more groups"),
            };
            lines.push(format!(
                "{} {more}: --explain={} shows the next",
                ellipsis(page.ascii),
                shown + 1
            ));
        }
        _ => {}
    }
    if !rows.is_empty() {
        let notes = beside_text(snapshot).into_iter();
        lines.extend(notes.flat_map(|text| wrap("", &clean(&text), *page)));
    }
    if explain == Explain::All {
        let rows = match room {
            Some(room) => room.saturating_sub(lines.len() + residue::ABOVE + 1),
            None => usize::MAX,
        };
        lines.extend(residue::section(snapshot, rows, *page));
    }
    if !caveats.is_empty() {
        lines.push(String::new());
        lines.extend(caveats);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// How many rows can be explained.
#[must_use]
pub fn count(snapshot: &Snapshot) -> usize {
    entries(snapshot).len()
}

/// Why there is no group with this number.
pub fn missing(number: usize, groups: usize) -> String {
    match groups {
        0 => format!("there is no group {number}: nothing is listed"),
        1 => format!("there is no group {number}: there is 1"),
        groups => format!("there is no group {number}: there are {groups}"),
    }
}

//! Why each group is stuck, at length.

use crate::{
    model::{request::Explain, stuck::snapshot::Snapshot},
    view::{
        Page,
        parts::style::HEADING,
        stuck::{cause::block, headline::top, residue},
    },
};

/// The snapshot as text, with colours: a block for each group, or for one of them.
pub fn render(snapshot: &Snapshot, explain: Explain, page: &Page) -> String {
    let mut lines = top(snapshot);
    // Behind the last block there may be a line that says how many more there are.
    let room = page.height.map(|height| height.saturating_sub(2));
    let (first, count) = match explain {
        Explain::All => (1, snapshot.groups.len()),
        Explain::Group(number) => (number, 1),
    };
    let chosen = (1..).zip(&snapshot.groups);
    let chosen = chosen.skip(first.saturating_sub(1)).take(count);
    let mut shown = 0;
    for (number, group) in chosen {
        let (heading, block) = block::lines(number, group, snapshot, *page);
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
                block.push("… (--once shows all of it)".into());
            }
        }
        lines.push(String::new());
        lines.extend(block);
        shown += 1;
    }
    match (explain, snapshot.groups.len()) {
        (Explain::Group(number), groups) if shown == 0 => {
            let missing = missing(number, groups);
            lines.push(format!("--explain={number}: {missing}"));
        }
        (Explain::All, groups) if shown < groups => {
            let more = match groups - shown {
                1 => "1 more group".to_owned(),
                more => format!("{more} more groups"),
            };
            lines.push(format!(
                "… and {more} (--explain={} shows the next)",
                shown + 1
            ));
        }
        _ => {}
    }
    if explain == Explain::All {
        let rows = match room {
            Some(room) => room.saturating_sub(lines.len() + residue::ABOVE + 1),
            None => usize::MAX,
        };
        lines.extend(residue::section(snapshot, rows, *page));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Why there is no group with this number.
pub fn missing(number: usize, groups: usize) -> String {
    match groups {
        0 => format!("there is no group {number}: nothing is listed"),
        1 => format!("there is no group {number}: there is 1"),
        groups => format!("there is no group {number}: there are {groups}"),
    }
}

//! A histogram as a table of numbers and bars.

use tcptrace_common::Ending;

use crate::{
    model::hist::durations::Spread,
    view::{
        Page,
        hist::{
            bars::Bars,
            rows::{Counts, Row, rows},
        },
        layout::{
            table::{self, left, right},
            wrap::parts,
        },
        parts::age::age,
    },
};

/// Characters in a line with its bar where there is no terminal.
const WIDTH: usize = 80;
/// The longest and the shortest bar, in characters.
const BARS: (usize, usize) = (60, 4);

/// The lines; the first has the names of the columns. `finished` is the word for an ordinary end.
pub fn drawn(spread: &Spread, finished: &str, page: Page) -> Vec<String> {
    let rows = rows(spread);
    if rows.is_empty() {
        return Vec::new();
    }
    let counts = rows.iter().filter_map(|row| match row {
        Row::Counts { counts, .. } => Some(counts),
        Row::Nothing => None,
    });
    let most = counts.clone().map(Counts::sum).max().unwrap_or(0);
    let used = |kind: fn(&Counts) -> u64| counts.clone().any(|counts| kind(counts) > 0);
    let kinds = [
        used(|c| c.finished),
        used(|c| c.reset),
        used(|c| c.open),
        used(|c| c.at_least),
    ];
    let bars = Bars::new(most, kinds, page.ascii);
    // Lower bounds of those that have not ended are `so far`, too, as long as the column has nothing else.
    let so_far = spread.open.count() == 0 && {
        let ended = Ending::ALL.map(|ending| spread.ended(ending).at_least.count());
        ended.iter().all(|count| *count == 0)
    };
    let (at_least, at_least_name) = match so_far {
        true => ("SO FAR", "so far, at least"),
        false => ("AT LEAST", "at least"),
    };
    let still_open =
        match [Ending::Reset, Ending::ResetStillOpen].map(|one| spread.ended(one).count()) {
            [0, _] => "reset, still open",
            _ => "reset",
        };
    let long = bars.legend([finished, still_open, "so far", at_least_name]);
    let short = bars.legend([finished, "reset", "so far", "at least"]);
    let head = finished.to_uppercase();
    let columns = |legend| {
        [
            right("FROM"),
            right(&head).rank(1),
            right("RESET").rank(3),
            right("SO FAR").rank(2),
            right(at_least).rank(4),
            left(legend).extra(5),
        ]
    };
    let cells = |bar_width: usize| -> Vec<Vec<String>> {
        let row = |row: &Row| match row {
            Row::Counts { from_ns, counts } => {
                let count = |kind: usize, count: u64| match kinds[kind] {
                    true => count.to_string(),
                    false => String::new(),
                };
                vec![
                    format!("  {}", age(*from_ns, true)),
                    count(0, counts.finished),
                    count(1, counts.reset),
                    count(2, counts.open),
                    count(3, counts.at_least),
                    bars.bar(counts, bar_width),
                ]
            }
            Row::Nothing => std::iter::once("⋮".into())
                .chain(std::iter::repeat_n(String::new(), 5))
                .collect(),
        };
        rows.iter().map(row).collect()
    };
    // The bars get the width that the numbers leave, and their legend, too.
    let numbers = table::lines(&columns(""), &cells(0), Page::UNLIMITED);
    let used = numbers.iter().map(|line| line.chars().count()).max();
    let room = page
        .width
        .unwrap_or(WIDTH)
        .saturating_sub(used.unwrap_or(0) + 2);
    let fits = |legend: &&str| page.width.is_none() || legend.chars().count() <= room;
    let legends = [long.join("  "), short.join("  "), short.join(" ")];
    let legend = legends.iter().map(String::as_str).find(fits);
    let mut lines = table::lines(
        &columns(legend.unwrap_or_default()),
        &cells(room.clamp(BARS.1, BARS.0)),
        page,
    );
    // Not above the bars, so below them; without bars there is nothing to explain.
    let has_bars = room >= BARS.1;
    if legend.is_none() && has_bars {
        lines.extend(parts("  ", &short, "  ", page));
    }
    lines
}

//! Aligned columns. Where they are wider than the terminal, columns leave whole; then names are
//! shortened in the middle. No figure is ever cut.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets::NOTHING,
};
use unicode_width::UnicodeWidthStr as _;

use crate::view::{
    Page,
    layout::{
        middle::middle,
        plain::{ellipsis, plain},
    },
};

/// Between two columns.
const GAP: usize = 2;
/// Columns of a name that stay beside the mark: a character at each end, or a wide one.
const LEAST_NAME: usize = 2;
/// Characters of a process's name that is not shortened.
const SHORT_NAME: usize = 8;

/// A column's heading, its side, and what becomes of it where there is little room.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// In capitals.
    pub heading: &'a str,
    /// Numbers are right-aligned.
    pub right: bool,
    /// The columns with the highest number leave first.
    rank: u8,
    /// Whether it leaves before names are shortened.
    extra: bool,
    /// How many characters of a cell are a name that may be shortened, counted from the left.
    name: Option<fn(&str) -> usize>,
}

/// A column of text.
pub const fn left(heading: &str) -> Column<'_> {
    Column {
        heading,
        right: false,
        rank: 0,
        extra: false,
        name: None,
    }
}

/// A column of numbers.
pub const fn right(heading: &str) -> Column<'_> {
    Column {
        right: true,
        ..left(heading)
    }
}

impl Column<'_> {
    /// The column, which leaves before those with a lower number, but after names are shortened.
    pub const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// The same, and it leaves before names are shortened.
    pub const fn extra(self, rank: u8) -> Self {
        Self {
            rank,
            extra: true,
            ..self
        }
    }

    /// The column, whose cells begin with a name that long.
    pub const fn name(self, length: fn(&str) -> usize) -> Self {
        Self {
            name: Some(length),
            ..self
        }
    }
}

/// The heading and the rows as lines of equal columns, in the page's width if there is one. Columns without any
/// text are dropped.
#[must_use]
pub fn lines(columns: &[Column<'_>], rows: &[Vec<String>], page: Page) -> Vec<String> {
    if page.ascii && !rows.iter().flatten().all(|cell| cell.is_ascii()) {
        let cells = |row: &Vec<String>| row.iter().map(|cell| plain(cell).into_owned()).collect();
        let rows: Vec<_> = rows.iter().map(cells).collect();
        return lines(columns, &rows, page);
    }
    let used = |index: &usize| rows.iter().any(|row| !row[*index].is_empty());
    let mut kept: Vec<usize> = (0..columns.len()).filter(used).collect();
    let Some(width) = page.width else {
        return layout(columns, rows, &kept);
    };
    let wide = |index: usize| {
        let cells = rows.iter().map(|row| row[index].width());
        cells.max().unwrap_or(0).max(columns[index].heading.width())
    };
    let widths: Vec<usize> = (0..columns.len()).map(wide).collect();
    let too_wide = |kept: &[usize]| {
        let sum: usize = kept.iter().map(|index| widths[*index] + GAP).sum();
        sum.saturating_sub(GAP + width)
    };
    let drop_last = |kept: &mut Vec<usize>, extra: bool| {
        let may_leave = |index: &&usize| columns[**index].extra || !extra;
        let last = kept
            .iter()
            .filter(may_leave)
            .max_by_key(|index| columns[**index].rank);
        match last.copied().filter(|_| kept.len() > 1) {
            Some(last) => kept.retain(|index| *index != last),
            None => return false,
        }
        true
    };
    while too_wide(&kept) > 0 && drop_last(&mut kept, true) {}
    while too_wide(&kept) > 0 {
        if let Some(shorter) = shortened(columns, rows, &kept, &widths, too_wide(&kept), page.ascii)
        {
            return layout(columns, &shorter, &kept);
        }
        if !drop_last(&mut kept, false) {
            break;
        }
    }
    layout(columns, rows, &kept)
}

/// The rows with names so much shorter that the table is `excess` narrower; `None` if they are too short
/// for that.
fn shortened(
    columns: &[Column<'_>],
    rows: &[Vec<String>],
    kept: &[usize],
    widths: &[usize],
    mut excess: usize,
    ascii: bool,
) -> Option<Vec<Vec<String>>> {
    let mark = ellipsis(ascii);
    let named = kept.iter().copied().filter_map(|index| {
        let name = columns[index].name?;
        let least = |row: &Vec<String>| {
            let cell = &row[index];
            let width = split(cell, name(cell)).0.width().min(cell.width());
            cell.width() - width.saturating_sub(LEAST_NAME + mark.width())
        };
        let least = rows.iter().map(least).max().unwrap_or(0);
        let floor = least.max(columns[index].heading.width());
        Some((index, name, floor, widths[index]))
    });
    let mut named: Vec<_> = named.collect();
    while excess > 0 {
        // The widest column gives first.
        let can_give = named.iter_mut().filter(|(_, _, floor, goal)| goal > floor);
        let (_, _, _, goal) = can_give.max_by_key(|(_, _, _, goal)| *goal)?;
        *goal -= 1;
        excess -= 1;
    }
    let mut rows = rows.to_vec();
    for row in &mut rows {
        for (index, name, _, goal) in &named {
            let cell = &mut row[*index];
            if cell.width() > *goal {
                *cell = shorten(cell, name(cell), *goal, ascii);
            }
        }
    }
    Some(rows)
}

/// The name with which a cell begins, and the rest.
fn split(cell: &str, name: usize) -> (&str, &str) {
    let end = cell.char_indices().nth(name).map(|(at, _)| at);
    cell.split_at(end.unwrap_or(cell.len()))
}

/// The cell in this width: without the middle of the name with which it begins.
fn shorten(cell: &str, name: usize, goal: usize, ascii: bool) -> String {
    let (name, rest) = split(cell, name);
    let short = middle(name, goal.saturating_sub(rest.width()), ascii);
    short + rest
}

fn layout(columns: &[Column<'_>], rows: &[Vec<String>], kept: &[usize]) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(kept.iter().map(|index| columns[*index].heading));
    for row in rows {
        table.add_row(Row::from(kept.iter().map(|index| row[*index].as_str())));
    }
    for (position, index) in kept.iter().enumerate() {
        if let Some(column) = table.column_mut(position) {
            column.set_padding((0, 2));
            column.set_constraint(ColumnConstraint::ContentWidth);
            if columns[*index].right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// The name in `java[4242] fd 3`, `java[4242]`.
#[must_use]
pub fn before_pid(cell: &str) -> usize {
    let name = cell.rfind('[').map_or("", |at| &cell[..at]);
    let length = name.chars().count();
    // Of several processes in one cell no part may be lost; and of a short name little is to be gained.
    if name.contains('[') || length <= SHORT_NAME {
        0
    } else {
        length
    }
}

/// The address in `[2001:db8::7]:443`, and the words before it. An IPv4 address is as short as what would be left of it,
/// and stays whole.
#[must_use]
pub fn before_port(cell: &str) -> usize {
    let is_v6 = cell.contains(']');
    let end = cell.rfind(':').filter(|_| is_v6);
    end.map_or(0, |at| cell[..at].chars().count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [Column<'_>; 4] = [
        right("AGE"),
        left("REMOTE").rank(1).name(before_port),
        left("HELD BY").rank(2).name(before_pid),
        left("NETNS").extra(3),
    ];

    fn row() -> Vec<String> {
        [
            "≥56s",
            "[2001:db8::aaaa:bbbb]:8080",
            "a-long-program[123456] fd 53",
            "blue",
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    }

    fn at(width: usize) -> Vec<String> {
        lines(&COLUMNS, &[row()], Page::UNLIMITED.with_width(Some(width)))
    }

    #[test]
    fn columns_leave_whole_and_names_are_shortened_in_the_middle() {
        let text: Vec<String> = [80, 70, 60, 50, 40, 20, 4]
            .map(|width| at(width).join("\n"))
            .to_vec();
        insta::assert_snapshot!(text.join("\n\n"));
    }

    proptest! {
        /// Ports, pids and ages stay whole, or leave with their column.
        #[test]
        fn nothing_is_cut(width in 1_usize..100) {
            let lines = at(width);
            let fits = lines.iter().all(|line| line.width() <= width);
            prop_assert!(fits || !lines[0].contains("REMOTE"), "{lines:#?}");
            for (heading, end) in [("AGE", "≥56s"), ("REMOTE", "]:8080"), ("HELD BY", "[123456] fd 53")] {
                prop_assert_eq!(lines[0].contains(heading), lines[1].contains(end), "{:#?}", lines);
            }
        }
    }
}

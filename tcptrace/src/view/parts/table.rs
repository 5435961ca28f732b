//! Aligned columns; an empty column is left out.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets::NOTHING,
};

/// A column's heading and side.
pub struct Column {
    /// In capitals.
    pub heading: &'static str,
    /// Numbers are right-aligned.
    pub right: bool,
}

/// A column of text.
pub const fn left(heading: &'static str) -> Column {
    Column {
        heading,
        right: false,
    }
}

/// A column of numbers.
pub const fn right(heading: &'static str) -> Column {
    Column {
        heading,
        right: true,
    }
}

/// The heading and the rows as lines of equal columns. Columns without any text are dropped.
pub fn lines(columns: &[Column], rows: &[Vec<String>]) -> Vec<String> {
    let used = |index: &usize| rows.iter().any(|row| !row[*index].is_empty());
    let kept: Vec<usize> = (0..columns.len()).filter(used).collect();
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

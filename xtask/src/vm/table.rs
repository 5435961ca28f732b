//! A table of kernels and tests.

/// Rows under a head, each with a name and a cell for each column.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// A table with these columns.
    pub fn new(head: Vec<String>) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, name: &str, cells: Vec<String>) {
        self.rows.push((name.into(), cells));
    }

    /// The table as lines of text.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.head).chain(self.rows.iter().map(|(_, cells)| cells));
        let columns = all().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                all()
                    .filter_map(|cells| cells.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let names = self
            .rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (name, cells) in std::iter::once(("", &self.head))
            .chain(self.rows.iter().map(|(name, cells)| (name.as_str(), cells)))
        {
            let mut line = format!("{name:names$}");
            for (cell, width) in cells.iter().zip(&widths) {
                line.push_str(&format!("  {cell:width$}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(vec!["5.10".into(), "6.1".into()]);
        table.row("a test", vec!["ok".into(), "FAIL".into()]);
        table.row("b", vec!["ignored".into(), "ok".into()]);
        assert_eq!(
            table.text(),
            "        5.10     6.1\na test  ok       FAIL\nb       ignored  ok\n"
        );
    }
}

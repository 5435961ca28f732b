//! Colours of single cells. They are added when the columns stand: their codes have no width.

use anstyle::Style;
use unicode_width::UnicodeWidthChar as _;

/// The row with the word in this column, whose heading is in `heading`, in the style that `style` gives it. Where the
/// column has left, nothing is done.
#[must_use]
pub fn word(
    row: &str,
    heading: &str,
    column: &str,
    style: impl Fn(&str) -> Option<Style>,
) -> String {
    let painted = || {
        let begin = at(row, heading.find(column)?)?;
        let (before, rest) = row.split_at(begin);
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let style = style(word)?;
        Some(format!("{before}{style}{word}{style:#}{after}"))
    };
    painted().unwrap_or_else(|| row.into())
}

/// Where the text of a line begins that stands this far from the left.
fn at(line: &str, column: usize) -> Option<usize> {
    let mut width = 0;
    for (index, c) in line.char_indices() {
        if width == column {
            return Some(index);
        }
        width += c.width().unwrap_or(0);
    }
    None
}

#[cfg(test)]
mod tests {
    use anstyle::{AnsiColor, Style};

    use super::word;

    #[test]
    fn one_word_has_a_colour_wherever_it_stands() {
        let red: Style = AnsiColor::Red.on_default();
        let style = |word: &str| (word == "yes").then_some(red);
        let paint = |row| word(row, "PROCESS  LEAK  CAUSE", "LEAK", style);
        assert_eq!(
            paint("日本[1]  yes   x"),
            format!("日本[1]  {red}yes{red:#}   x")
        );
        assert_eq!(paint("java[1]  ?     yes"), "java[1]  ?     yes");
        assert_eq!(paint("java[1]"), "java[1]");
    }
}

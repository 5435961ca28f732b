//! The time of a look, at the right end of a screen's first line.

use std::time::SystemTime;

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::view::{Page, layout::headline::headline, parts::stamp::second};

/// Between the text and the time without a terminal.
const GAP: usize = 3;

/// The first lines of a screen in this style: the text, with the time at the right end. It must be fit for a terminal.
#[must_use]
pub fn headed(text: &str, style: Style, time: Option<SystemTime>, page: Page) -> Vec<String> {
    let when = time.map(second);
    let lines = headline(text, when.as_deref(), page).into_iter();
    lines
        .map(|line| format!("{style}{line}{style:#}"))
        .collect()
}

/// A second text at the right end of a line with this width; nothing where there is no room.
#[must_use]
pub fn at_the_end(length: usize, text: &str, page: Page) -> String {
    let Some(width) = page.width else {
        return format!("{}{text}", " ".repeat(GAP));
    };
    match width.checked_sub(length + text.width()) {
        Some(gap) if gap > 1 => format!("{}{text}", " ".repeat(gap)),
        _ => String::new(),
    }
}

/// `, 15:35:18Z to 15:37:28Z`, with the day of the first.
#[must_use]
pub fn span(from: SystemTime, to: SystemTime) -> String {
    let text = |time| second(time).replace('T', " ");
    let (from, to) = (text(from), text(to));
    let same_day = from.split(' ').next() == to.split(' ').next();
    let to = match to.split_once(' ') {
        Some((_, clock)) if same_day => clock,
        _ => &to,
    };
    format!(", {from} to {to}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_span_names_the_day_once_if_it_is_one() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let (from, day) = (1_700_000_000, 86_400);
        let one = span(at(from), at(from + 62));
        assert_eq!(one, ", 2023-11-14 22:13:20Z to 22:14:22Z");
        let two = span(at(from), at(from + day));
        assert_eq!(two, ", 2023-11-14 22:13:20Z to 2023-11-15 22:13:20Z");
    }

    #[test]
    fn a_second_text_is_at_the_right_end_or_not_there() {
        let at = |width| at_the_end(4, "end", Page::UNLIMITED.with_width(width));
        assert_eq!(at(None), "   end");
        assert_eq!(at(Some(10)), "   end");
        assert_eq!(at(Some(8)), "");
    }
}

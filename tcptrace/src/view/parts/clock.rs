//! The time of a look, at the right end of a screen's first line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::view::{Page, layout::wrap::wrap};

/// From this width on the day is shown, too.
const WITH_DAY: usize = 100;
/// Between the text and the time without a terminal.
const GAP: usize = 3;

/// The first lines of a screen: the text, in this style and wrapped, with the time in UTC at the right end of the last of
/// them, if there is room. It must be fit for a terminal.
#[must_use]
pub fn headed(text: &str, style: Style, time: Option<SystemTime>, page: Page) -> Vec<String> {
    let mut lines = wrap("", text, page);
    let length = lines.last().map_or(0, |line| line.width());
    for line in &mut lines {
        *line = format!("{style}{line}{style:#}");
    }
    if let (Some(last), Some(time)) = (lines.last_mut(), time) {
        last.push_str(&at_the_end(length, &of(time, page), page));
    }
    lines
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
    let text = |time| of(time, Page::UNLIMITED).replace('T', " ");
    let (from, to) = (text(from), text(to));
    let same_day = from.split(' ').next() == to.split(' ').next();
    let to = match to.split_once(' ') {
        Some((_, clock)) if same_day => clock,
        _ => &to,
    };
    format!(", {from} to {to}")
}

/// The time in UTC: without the day on a narrow terminal.
fn of(time: SystemTime, page: Page) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let whole = UNIX_EPOCH + Duration::from_secs(seconds.as_secs());
    let text = humantime::format_rfc3339_seconds(whole).to_string();
    match (page.width, text.split_once('T')) {
        (Some(0..WITH_DAY), Some((_, clock))) => clock.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::parts::style::HEADING;

    #[test]
    fn the_time_stands_at_the_right_end_or_not_at_all() {
        let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let at = |width| {
            let lines = headed(
                "one two",
                HEADING,
                Some(time),
                Page::UNLIMITED.with_width(width),
            );
            anstream::adapter::strip_str(&lines.join("\n")).to_string()
        };
        assert_eq!(at(None), "one two   2023-11-14T22:13:20Z");
        assert_eq!(at(Some(20)), "one two    22:13:20Z");
        assert_eq!(at(Some(17)), "one two");
        assert_eq!(at(Some(5)), "one\ntwo");
        assert_eq!(at(Some(100)).len(), 100);
    }
}

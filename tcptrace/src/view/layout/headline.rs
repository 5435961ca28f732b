//! The first line of a screen: what there is at the left, and when that was at the right.

use unicode_width::UnicodeWidthStr as _;

use crate::view::{
    Page,
    layout::{plain::plain, wrap::wrap},
};

/// Between the text and the time, where there is no other end of the line.
const GAP: usize = 3;
/// From this width on, the time has its date.
const WITH_DATE: usize = 100;

/// The text and, at the end of the line, the time (`2026-11-26T15:36:18Z`; less than 100 columns have no room for the
/// day). Where they do not fit into one line, the time has one of its own. The text must be fit for a terminal.
#[must_use]
pub fn headline(text: &str, when: Option<&str>, page: Page) -> Vec<String> {
    if page.ascii && !text.is_ascii() {
        return headline(&plain(text), when, page);
    }
    let mut lines = wrap("", text, page);
    let Some(when) = when else {
        return lines;
    };
    let Some(width) = page.width else {
        return vec![format!("{text}{:GAP$}{when}", "")];
    };
    let when = match when.split_once('T') {
        Some((_, time)) if width < WITH_DATE => time,
        _ => when,
    };
    let used = lines.last().map_or(0, |line| line.width());
    if used + 2 + when.width() <= width {
        let gap = width - used - when.width();
        if let Some(last) = lines.last_mut() {
            last.push_str(&" ".repeat(gap));
            last.push_str(when);
        }
    } else if when.width() <= width {
        lines.push(format!("{when:>width$}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::headline;
    use crate::view::Page;

    #[test]
    fn the_time_is_at_the_right_end() {
        let at = |width| {
            let page = Page::UNLIMITED.with_width(width);
            headline("37 sockets", Some("2026-11-26T15:36:18Z"), page)
        };
        assert_eq!(at(None), ["37 sockets   2026-11-26T15:36:18Z"]);
        assert_eq!(
            at(Some(100)),
            [format!("37 sockets{:>90}", "2026-11-26T15:36:18Z")]
        );
        assert_eq!(at(Some(99)), [format!("37 sockets{:>89}", "15:36:18Z")]);
        assert_eq!(at(Some(20)), ["37 sockets", "           15:36:18Z"]);
        assert_eq!(at(Some(5)), ["37", "socke", "ts"]);
    }
}

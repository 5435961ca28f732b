//! Sentences that are wrapped at words.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::view::{
    Page,
    layout::plain::{ellipsis, plain},
};

/// The text after `first`, wrapped below its own beginning, no line wider than the page; one line where the page has
/// no width. It must be fit for a terminal.
#[must_use]
pub fn wrap(first: &str, text: &str, page: Page) -> Vec<String> {
    if page.ascii && !(first.is_ascii() && text.is_ascii()) {
        return wrap(&plain(first), &plain(text), page);
    }
    let Some(width) = page.width else {
        return vec![format!("{first}{text}")];
    };
    // Where there is next to no room, the text needs all of it.
    let first = if first.width() * 2 > width { "" } else { first };
    let room = width.saturating_sub(first.width()).max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ').flat_map(|word| pieces(word, room)) {
        let line = lines.last_mut().filter(|line| {
            let gap = usize::from(!line.is_empty());
            line.width() + gap + word.width() <= room
        });
        match line {
            Some(line) => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&word);
            }
            None => lines.push(word),
        }
    }
    let below = " ".repeat(first.width());
    let lines = lines.into_iter().enumerate();
    lines
        .map(|(index, line)| match index {
            0 => format!("{first}{line}"),
            _ => format!("{below}{line}"),
        })
        .collect()
}

/// Parts after `first`, as many in a line as fit, the others below the first one; a part is wrapped only if it does not
/// fit into a line of its own. One line where the page has no width. They must be fit for a terminal.
#[must_use]
pub fn parts(first: &str, parts: &[String], gap: &str, page: Page) -> Vec<String> {
    if page.ascii && !(first.is_ascii() && parts.iter().all(|part| part.is_ascii())) {
        let parts: Vec<_> = parts.iter().map(|part| plain(part).into_owned()).collect();
        return self::parts(&plain(first), &parts, gap, page);
    }
    let Some(width) = page.width else {
        return vec![format!("{first}{}", parts.join(gap))];
    };
    let below = " ".repeat(first.width());
    let mut lines: Vec<String> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let end = match index + 1 == parts.len() {
            true => "",
            false => gap.trim_end(),
        };
        let space = &gap[gap.trim_end().len()..];
        let more = space.width() + part.width() + end.width();
        let last = lines.last_mut().filter(|line| line.width() + more <= width);
        match last {
            // What ends the part before is there already.
            Some(line) => {
                line.push_str(space);
                line.push_str(part);
                line.push_str(end);
            }
            None => {
                let first = if index == 0 { first } else { &below };
                lines.extend(wrap(first, &format!("{part}{end}"), page));
            }
        }
    }
    lines
}

/// The first lines; where there were more, the last of them ends with a mark, within the same width.
#[must_use]
pub fn cut(mut lines: Vec<String>, most: usize, page: Page) -> Vec<String> {
    if lines.len() <= most {
        return lines;
    }
    lines.truncate(most);
    if let Some(last) = lines.last_mut() {
        let width = page.width.unwrap_or(usize::MAX);
        let mark = ellipsis(page.ascii);
        while last.width() + 1 + mark.width() > width {
            match last.trim_end().rfind(' ') {
                Some(at) if !last[..at].trim().is_empty() => last.truncate(at),
                _ => {
                    last.pop();
                }
            }
        }
        let end = last.trim_end_matches([' ', ',', ';', ':']).len();
        last.truncate(end);
        last.push(' ');
        last.push_str(mark);
    }
    lines
}

/// A word in pieces that fit.
fn pieces(word: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut width = 0;
    for c in word.chars() {
        let wide = c.width().unwrap_or(0);
        if width + wide > room && width > 0 {
            pieces.push(String::new());
            width = 0;
        }
        width += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(width: Option<usize>) -> Page {
        Page::UNLIMITED.with_width(width)
    }

    #[test]
    fn words_go_below_the_beginning() {
        let text = "one two three four";
        assert_eq!(wrap("- ", text, at(None)), ["- one two three four"]);
        let lines = wrap("- ", text, at(Some(10)));
        assert_eq!(lines, ["- one two", "  three", "  four"]);
        assert_eq!(cut(lines, 2, at(Some(10))), ["- one two", "  three …"]);
        assert_eq!(wrap("", "abcdefg h", at(Some(3))), ["abc", "def", "g h"]);
    }

    #[test]
    fn parts_stay_whole() {
        let all = ["3 a", "4 bb", "5 c"].map(String::from);
        let lines = |width| parts("n: ", &all, ", ", at(width));
        assert_eq!(lines(None), ["n: 3 a, 4 bb, 5 c"]);
        assert_eq!(lines(Some(17)), ["n: 3 a, 4 bb, 5 c"]);
        assert_eq!(lines(Some(16)), ["n: 3 a, 4 bb,", "   5 c"]);
        assert_eq!(lines(Some(11)), ["n: 3 a,", "   4 bb,", "   5 c"]);
        assert_eq!(
            parts("", &["long words".into()], "", at(Some(5))),
            ["long", "words"]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider(text in "[a-z→漢 ,]{0,80}", width in 2_usize..40, most in 1_usize..4) {
            let lines = wrap("    → ", &text, at(Some(width)));
            prop_assert!(lines.iter().all(|line| line.width() <= width), "{lines:#?}");
            let whole = |lines: &[String]| lines.concat().replace([' ', '→'], "");
            prop_assert_eq!(whole(&lines), text.replace([' ', '→'], ""));
            let short = cut(lines, most, at(Some(width)));
            prop_assert!(short.len() <= most);
            prop_assert!(short.iter().all(|line| line.width() <= width), "{short:#?}");
        }
    }
}

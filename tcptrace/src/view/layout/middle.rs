//! Names that are too long: shortened in the middle, where they differ least.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::view::layout::plain::{ellipsis, plain};

/// The name in at most this width, with a mark in place of its middle. It must be fit for a terminal, and hold no figure
/// that counts.
#[must_use]
pub fn middle(name: &str, most: usize, ascii: bool) -> String {
    if ascii && !name.is_ascii() {
        return middle(&plain(name), most, ascii);
    }
    if name.width() <= most {
        return name.to_owned();
    }
    let mark = ellipsis(ascii);
    let room = most.saturating_sub(mark.width());
    let end = last_chars(name, room / 2);
    let begin = first_chars(name, room - end.width().min(room));
    format!("{begin}{mark}{end}")
}

/// As much of the beginning as fits.
fn first_chars(text: &str, room: usize) -> &str {
    let mut used = 0;
    let fits = |(at, c): (usize, char)| {
        used += c.width().unwrap_or(0);
        (used > room).then_some(at)
    };
    let end = text.char_indices().find_map(fits);
    &text[..end.unwrap_or(text.len())]
}

/// As much of the end as fits.
fn last_chars(text: &str, room: usize) -> &str {
    let mut used = 0;
    let fits = |(at, c): (usize, char)| {
        used += c.width().unwrap_or(0);
        (used > room).then_some(at + c.len_utf8())
    };
    let begin = text.char_indices().rev().find_map(fits);
    &text[begin.unwrap_or(0)..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ends_stay() {
        assert_eq!(middle("a-long-program", 9, false), "a-lo…gram");
        assert_eq!(middle("a-long-program", 9, true), "a-l...ram");
        assert_eq!(middle("java", 4, false), "java");
        assert_eq!(middle("漢字漢字", 5, false), "漢…字");
        assert_eq!(middle("é", 20, true), "\\u{e9}");
    }

    proptest! {
        #[test]
        fn it_fits(name in "\\PC{0,40}", most in 3_usize..40, ascii: bool) {
            let short = middle(&name, most, ascii);
            prop_assert!(short.width() <= most, "{}", short);
            prop_assert!(short.is_ascii() || !ascii);
        }
    }
}

//! Text where only ASCII can be shown: in another locale than UTF-8, or because the user wants it.

use std::{borrow::Cow, fmt::Write as _};

/// The text in ASCII: the marks that views use in other words, and everything else, which can only be part of a name,
/// as an escape. Colours stay.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '≥' => plain.push_str(">="),
            '≤' => plain.push_str("<="),
            '→' => plain.push_str("->"),
            '…' | '⋮' => plain.push_str("..."),
            '–' => plain.push('-'),
            'µ' => plain.push('u'),
            '±' => plain.push_str("+-"),
            _ if c.is_ascii() => plain.push(c),
            // Memory takes it.
            _ => drop(write!(plain, "{}", c.escape_unicode())),
        }
    }
    plain.into()
}

/// What stands for what was left out of a line or a name.
#[must_use]
pub fn ellipsis(ascii: bool) -> &'static str {
    if ascii { "..." } else { "…" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::plain;

    #[test]
    fn marks_have_other_words_and_names_escapes() {
        assert_eq!(
            plain("≥2.5–36s, 48µs … näme"),
            ">=2.5-36s, 48us ... n\\u{e4}me"
        );
        assert_eq!(plain("\u{1b}[1mOLDEST\n"), "\u{1b}[1mOLDEST\n");
    }

    proptest! {
        #[test]
        fn nothing_else_is_left(text in "\\PC*") {
            prop_assert!(plain(&text).is_ascii());
            if text.is_ascii() {
                prop_assert_eq!(plain(&text), &text[..]);
            }
        }
    }
}

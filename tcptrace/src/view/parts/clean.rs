//! Makes text from the kernel or a process fit for a terminal.

/// Whether a terminal might interpret the character, or reorder text because of it.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text with such characters written as escapes.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Appends the same to a line. Nearly all text needs no escapes and is copied at once.
pub fn append(out: &mut Vec<u8>, text: &str) {
    let hostile = |byte: u8| !matches!(byte, b' '..=b'~');
    // No early exit, so that the compiler checks many bytes at a time.
    if text.bytes().fold(false, |any, byte| any | hostile(byte)) {
        out.extend_from_slice(clean(text).as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{append, clean};

    #[test]
    fn escapes_what_a_terminal_acts_on() {
        assert_eq!(clean("a\x1b[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(clean("\u{9b}2J\u{202e}"), "\\u{9b}2J\\u{202e}");
        assert_eq!(clean("näme 日本"), "näme 日本");
    }

    proptest! {
        #[test]
        fn appending_makes_the_same_text(text in "\\PC*|[\\x00-\\x{ff}]*") {
            let mut out = Vec::new();
            append(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out), Ok(clean(&text)));
        }

        #[test]
        fn leaves_nothing_hostile(text in "\\PC*|[\\x00-\\x{ff}]*") {
            prop_assert!(!clean(&text).chars().any(super::is_hostile));
        }
    }
}

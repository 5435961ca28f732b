//! Makes text from the kernel, a process, a recording or the command line fit for a terminal and for a file
//! name.

use std::path::Path;

/// Whether a terminal might interpret the character, reorder text because of it, or show nothing in its place,
/// so that two different texts look the same: controls, and what Unicode calls `Bidi_Control`,
/// `Default_Ignorable_Code_Point` (it keeps these ranges for such characters, also those that it will add) and,
/// of the format characters (`Cf`), the others that are not signs themselves.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    match c {
        ' '..='~' => false,
        _ if c.is_control() => true,
        // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => {
            true
        }
        // Mongolian selectors and vowel separator, joiners, directions, separators of lines, invisible operators.
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{ffa0}' => true,
        // Variation selectors, byte order mark, annotations.
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' => true,
        // Controls of hieroglyphs, shorthand and music; tags and further selectors.
        '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
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

/// A path as messages show it.
#[must_use]
pub fn path(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

/// The same as [`clean`] of a message of several lines. What is quoted in it has been cleaned before: this keeps
/// line breaks, and makes sure of the rest.
#[must_use]
pub fn message(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(clean).collect();
    lines.join("\n")
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

    use super::{append, clean, is_hostile, message};

    #[test]
    fn escapes_what_a_terminal_acts_on() {
        assert_eq!(clean("a\x1b[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(clean("\u{9b}2J\u{202e}"), "\\u{9b}2J\\u{202e}");
        assert_eq!(message("a\x1b\n  b\r"), "a\\u{1b}\n  b\\r");
    }

    #[test]
    fn text_in_any_language_stays_as_it_is() {
        for text in [
            "näme 日本　東京 한국어 中文，。",
            "Ελληνικά Кириллица Հայերեն ქართული",
            "עִבְרִית العَرَبِيَّة فارسی اردو ދިވެހި ܣܘܪܝܝܐ",
            "हिन्दी বাংলা ਪੰਜਾਬੀ ગુજરાતી தமிழ் తెలుగు ಕನ್ನಡ മലയാളം සිංහල",
            "ไทย ລາວ ខ្មែរ မြန်မာ བོད་ཡིག ᠮᠣᠩᠭᠣᠯ አማርኛ ᏣᎳᎩ",
            "e\u{301} ½ € → ∞ 🦀 👍🏽 🇯🇵",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    /// What proptest knows of Unicode, against the ranges here.
    fn all_of(class: &str, check: impl Fn(char) -> bool) {
        let strategy = proptest::string::string_regex(class).expect("a valid class");
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(4000)
        };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let checked = runner.run(&strategy, |text| {
            prop_assert!(text.chars().all(&check), "{text:?}");
            Ok(())
        });
        checked.expect("all of them");
    }

    #[test]
    fn what_cannot_be_seen_is_hostile() {
        all_of(
            "[\\p{Default_Ignorable_Code_Point}\\p{Bidi_Control}\\p{Cc}\\p{Zl}\\p{Zp}]",
            is_hostile,
        );
    }

    #[test]
    fn what_can_be_seen_is_not_hostile() {
        all_of(
            "[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} --\\p{Default_Ignorable_Code_Point}--[\u{13430}-\u{1343f}]]",
            |c| !is_hostile(c),
        );
    }

    proptest! {
        #[test]
        fn appending_makes_the_same_text(text in "\\PC*|[\\x00-\\x{ff}]*|\\p{Cf}*") {
            let mut out = Vec::new();
            append(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out), Ok(clean(&text)));
        }

        #[test]
        fn leaves_nothing_hostile(text in "\\PC*|[\\x00-\\x{ff}]*|\\p{Cf}*") {
            prop_assert!(!clean(&text).chars().any(super::is_hostile));
        }
    }
}

//! Strings in JSON that are fit for a terminal too.

use std::io::{self, Write};

use serde::{Serialize, Serializer as _};
use serde_json::ser::{CompactFormatter, Formatter};

use crate::view::parts::clean::is_hostile;

/// JSON allows DEL, the C1 controls and characters that cannot be seen unescaped: here all that is hostile is
/// escaped, as UTF-16, which is how JSON writes it.
pub struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // No early exit, so that the compiler checks many bytes at a time. What is hostile is DEL, or has
        // several bytes.
        let plain = |byte: u8| byte < 0x7f;
        if fragment.bytes().fold(true, |all, byte| all & plain(byte)) {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_hostile) {
            CompactFormatter.write_string_fragment(writer, &rest[..at])?;
            let mut after = rest[at..].chars();
            let hostile = after.next().unwrap_or_default();
            for unit in hostile.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = after.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}

/// Appends the record as one line of JSON, with its end.
pub fn line(out: &mut Vec<u8>, record: &impl Serialize) {
    // Writing to memory does not fail, and the views only use strings as keys.
    let _ = write_line(out, record);
}

/// Writes the record as one line of JSON, with its end.
///
/// # Errors
/// When it cannot be written.
pub fn write_line(out: &mut (impl Write + ?Sized), record: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Escaping);
    record.serialize(&mut serializer)?;
    out.write_all(b"\n")
}

/// Appends the text with its quotes. Nearly all text needs no escape and is copied at once.
pub fn append(out: &mut Vec<u8>, text: &str) {
    let special = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'"') | (byte == b'\\');
    // No early exit, so that the compiler checks many bytes at a time.
    if text.bytes().fold(false, |any, byte| any | special(byte)) {
        let mut serializer = serde_json::Serializer::with_formatter(out, Escaping);
        // Writing to memory does not fail, and every string can be written as JSON.
        let _ = serializer.serialize_str(text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::append;
    use crate::view::parts::clean::is_hostile;

    #[test]
    fn tags_are_two_units() {
        let mut out = Vec::new();
        append(&mut out, "a\u{e0041}\u{202e}é\u{9b}");
        assert_eq!(out, "\"a\\udb40\\udc41\\u202eé\\u009b\"".as_bytes());
    }

    proptest! {
        #[test]
        fn any_text_survives_and_has_nothing_hostile(text in "\\PC*|[\\x00-\\x{ff}\"\\\\]*|\\p{Cf}*") {
            let mut out = Vec::new();
            append(&mut out, &text);
            let json = String::from_utf8(out).expect("JSON is UTF-8");
            prop_assert!(!json.contains(is_hostile), "{json}");
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), text);
        }
    }
}

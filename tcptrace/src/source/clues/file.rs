//! Small files of `/proc`, which are bytes that others may have had a hand in.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    str,
};

use rustix::{
    fs::{Mode, OFlags, open, openat},
    path::Arg,
};

/// More is taken for damage. The longest file is that of a set of `epoll`, with some 80 bytes for each socket.
const MOST: u64 = 32 << 20;

/// Opens a folder.
///
/// # Errors
/// When it is gone, or may not be looked into.
pub fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Reads the file with this name into the buffer, in place of what is there.
///
/// # Errors
/// When it is gone, may not be read, or is far too long.
pub fn read(folder: impl AsFd, name: impl Arg, buffer: &mut Vec<u8>) -> io::Result<()> {
    let file = openat(
        folder,
        name,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    buffer.clear();
    let length = File::from(file).take(MOST).read_to_end(buffer)?;
    match length as u64 {
        MOST.. => Err(io::ErrorKind::InvalidData.into()),
        _ => Ok(()),
    }
}

/// The lines of a text.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// The words of a line.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty())
}

/// The first word behind the name with which a line begins.
pub fn value<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let line = lines(text).find_map(|line| line.strip_prefix(name.as_bytes()))?;
    words(line).next()
}

/// A number with this base.
pub fn number(word: &[u8], base: u32) -> Option<u64> {
    let digits = str::from_utf8(word)
        .ok()
        .filter(|word| !word.starts_with('+'))?;
    u64::from_str_radix(digits, base).ok()
}

/// The same, where the kernel gives 32 bits.
pub fn small(word: &[u8], base: u32) -> Option<u32> {
    number(word, base)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_follows_its_name() {
        let text = b"a:\t1\nab: 22 3\nempty:\n";
        assert_eq!(value(text, "ab:"), Some(&b"22"[..]));
        assert_eq!(value(text, "a:"), Some(&b"1"[..]));
        for none in ["b:", "empty:", "22"] {
            assert_eq!(value(text, none), None, "{none}");
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(number(b"02000002", 8), Some(0o2_000_002));
        assert_eq!(small(b"ffffffff", 16), Some(u32::MAX));
        assert_eq!(small(b"100000000", 16), None);
        for none in [&b""[..], b"+1", b"-1", b"1x", b"\xff"] {
            assert_eq!(number(none, 10), None);
        }
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(text in prop::collection::vec(any::<u8>(), 0..200), base in 2u32..17) {
            let _ = value(&text, "a");
            for word in lines(&text).flat_map(words) {
                let _ = (number(word, base), small(word, base));
            }
        }
    }
}

//! A file that only contains whole lines, even if the disk becomes full within a line.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::FileExt as _,
};

use crate::sink::blocked;

/// A file that lines can be appended to.
pub trait Appended: Write {
    /// Drops what is after the first `size` bytes.
    ///
    /// # Errors
    /// When that is not possible, such as for a device.
    fn cut(&mut self, size: u64) -> io::Result<()>;

    /// How long it is, if somebody else may have cut it; `None` if nobody can.
    fn length(&self) -> Option<u64>;
}

impl Appended for fs::File {
    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn length(&self) -> Option<u64> {
        length(self).ok().flatten()
    }
}

/// The file and what is known of its end.
#[derive(Debug)]
pub struct WholeLines<F = fs::File> {
    file: F,
    size: u64,
    /// Part of a line is at the end: the next line must not be appended to it.
    in_line: bool,
}

impl WholeLines {
    /// Appends to a file. A writer that was killed may have left part of a line at its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn append(file: fs::File) -> io::Result<Self> {
        let (mut last, size) = ([b'\n'], length(&file)?.unwrap_or(0));
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        Ok(Self::of(file, size, last != [b'\n']))
    }

    /// Begins the file anew.
    ///
    /// # Errors
    /// When it cannot be emptied.
    pub fn begin(file: fs::File) -> io::Result<Self> {
        file.set_len(0)?;
        Ok(Self::of(file, 0, false))
    }

    /// Writes into a device or a FIFO.
    pub fn stream(file: fs::File) -> Self {
        Self::of(file, 0, false)
    }

    /// The file.
    pub fn file(&self) -> &fs::File {
        &self.file
    }
}

/// Only regular files have one.
fn length(file: &fs::File) -> io::Result<Option<u64>> {
    let status = file.metadata()?;
    Ok(status.is_file().then_some(status.len()))
}

impl<F: Appended> WholeLines<F> {
    fn of(file: F, size: u64, in_line: bool) -> Self {
        Self {
            file,
            size,
            in_line,
        }
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Looks whether somebody has cut the file, as a rotation by copying does; returns whether it is
    /// empty now.
    pub fn was_emptied(&mut self) -> bool {
        let Some(length) = self.file.length().filter(|length| *length < self.size) else {
            return false;
        };
        self.size = length;
        // Who cuts it elsewhere leaves part of a line.
        self.in_line = length > 0;
        length == 0
    }

    /// Appends bytes that are of no use in part; after an error none of them is in the file.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = blocked::watch(|| self.file.write_all(bytes));
        if result.is_ok() {
            self.size += bytes.len() as u64;
        } else {
            let _ = self.file.cut(self.size);
        }
        result
    }

    /// Appends lines; returns how many of their bytes are now in the file. These are whole lines
    /// even after an error.
    pub fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.in_line {
            if let Err(error) = blocked::watch(|| self.file.write_all(b"\n")) {
                return (0, Err(error));
            }
            self.size += 1;
            self.in_line = false;
        }
        let mut written = 0;
        let result = loop {
            if written == lines.len() {
                break Ok(());
            }
            match blocked::watch(|| self.file.write(&lines[written..])) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let end_of_line = lines[..written].iter().rposition(|byte| *byte == b'\n');
        let whole = end_of_line.map_or(0, |at| at + 1);
        if whole < written && self.file.cut(self.size + whole as u64).is_err() {
            self.in_line = true;
            self.size += written as u64;
        } else {
            self.size += whole as u64;
        }
        (whole, result)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A disk with room for this many bytes, which may refuse to truncate.
    struct Disk {
        content: Vec<u8>,
        room: usize,
        cuts: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.content.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Appended for Disk {
        fn cut(&mut self, size: u64) -> io::Result<()> {
            if !self.cuts {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let size = usize::try_from(size).expect("small");
            self.room += self.content.len() - size;
            self.content.truncate(size);
            Ok(())
        }

        fn length(&self) -> Option<u64> {
            Some(self.content.len() as u64)
        }
    }

    fn full_disk(room: usize, cuts: bool) -> WholeLines<Disk> {
        let content = Vec::new();
        let disk = Disk {
            content,
            room,
            cuts,
        };
        WholeLines::of(disk, 0, false)
    }

    #[test]
    fn a_line_that_did_not_fit_is_taken_back() {
        let mut whole = full_disk(7, true);
        let (written, result) = whole.write(b"one\ntwo\n");
        let error = result.expect_err("the disk is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(written, 4);
        assert_eq!(whole.file.content, b"one\n");
        whole.file.room = 100;
        assert_eq!(whole.write(b"two\n").0, 4);
        assert_eq!(whole.file.content, b"one\ntwo\n");
        assert_eq!(whole.size(), 8);
    }

    #[test]
    fn where_nothing_can_be_taken_back_the_next_line_begins_anew() {
        let mut whole = full_disk(6, false);
        assert_eq!(whole.write(b"one\ntwo\n").0, 4);
        whole.file.room = 100;
        assert_eq!(whole.write(b"two\n").0, 4);
        assert_eq!(whole.file.content, b"one\ntw\ntwo\n");
        assert_eq!(whole.size(), 11);
    }

    #[test]
    fn what_a_killed_writer_left_is_ended() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntw").expect("a file");
        let file = fs::File::options().read(true).append(true).open(&path);
        let mut whole = WholeLines::append(file.expect("it opens")).expect("it can be read");
        whole.write(b"three\n").1.expect("there is room");
        assert_eq!(whole.size(), 13);
        let content = fs::read_to_string(&path).expect("a file");
        assert_eq!(content, "one\ntw\nthree\n");
    }

    #[test]
    fn what_somebody_has_cut_is_not_filled_with_zeros() {
        let mut whole = full_disk(100, true);
        whole.write(b"one\ntwo\n").1.expect("there is room");
        assert!(!whole.was_emptied());
        whole.file.content.clear();
        assert!(whole.was_emptied());
        whole.write(b"three\n").1.expect("there is room");
        assert_eq!((whole.size(), &*whole.file.content), (6, &b"three\n"[..]));
        // Within a line.
        whole.file.content.truncate(2);
        assert!(!whole.was_emptied());
        whole.write(b"four\n").1.expect("there is room");
        assert_eq!(whole.file.content, b"th\nfour\n");
        assert_eq!(whole.size(), 8);
    }

    proptest! {
        #[test]
        fn lines_are_never_glued(
            lines in prop::collection::vec("[a-z]{0,6}\n", 1..20),
            room in 0_usize..60,
            cuts: bool,
        ) {
            let mut whole = full_disk(room, cuts);
            let text = lines.concat();
            let (first, _) = whole.write(text.as_bytes());
            whole.file.room = 1000;
            let (second, result) = whole.write(&text.as_bytes()[first..]);
            prop_assert!(result.is_ok());
            prop_assert_eq!(first + second, text.len());
            prop_assert_eq!(whole.size(), whole.file.content.len() as u64);
            let content = String::from_utf8(whole.file.content).expect("letters");
            let mut left = lines.iter().map(|line| line.trim_end()).peekable();
            for line in content.lines() {
                // At most one extra line: the part that could not be removed.
                left.next_if(|expected| *expected == line);
            }
            prop_assert_eq!(left.next(), None, "{}", content);
            prop_assert!(content.lines().count() <= lines.len() + usize::from(!cuts));
        }
    }
}

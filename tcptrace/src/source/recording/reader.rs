//! Reads a recording: a log in JSON, line by line, compressed or not.
//!
//! The reader keeps at most one line in memory, whatever the input is. It leaves out and reports
//! what it cannot read.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use crate::{
    model::{caveat::Caveat, recording::RecordingHeader, transition::Record},
    source::recording::{
        frames::{self, Damage, Frames},
        line::{self, Line},
    },
};

/// A longer line counts as damaged. The longest lines of a log name the holders of one socket: this
/// has room for more than 50 000.
const LONGEST_LINE: u64 = 4 << 20;

/// How many damaged lines are reported by number.
const NAMED_LINES: usize = 2;

/// What comes next in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The record on the line with this number, the first being 1.
    Record(u64, Box<Record>),
    /// The header of the records from here on.
    Header(Box<RecordingHeader>),
    /// The line with this number cannot be read.
    Damaged(u64),
}

/// How much of a recording was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that hold a record.
    pub records: u64,
    /// Lines that are headers.
    pub headers: u64,
    /// Lines of a log whose kind this program does not know.
    pub unknown: u64,
    /// Lines that could not be read.
    pub damaged: u64,
    /// The numbers of the first damaged lines.
    pub named: Vec<u64>,
    /// What is wrong with the first one: not yet fit for a terminal.
    pub reason: Option<String>,
    /// Compressed frames that were damaged, with others after them.
    pub frames: u64,
    /// What is wrong with the first of these.
    pub frame_reason: Option<String>,
    /// Why a compressed stream could not be read to its end.
    pub cut: Option<String>,
}

impl LineCounts {
    /// Whether there was input, but no usable line. An empty log comes from a quiet session.
    #[must_use]
    pub fn is_useless(&self) -> bool {
        self.records + self.headers == 0 && (self.lines > 0 || self.cut.is_some())
    }

    /// What was left out.
    #[must_use]
    pub fn caveats(&self) -> Vec<Caveat> {
        let mut caveats = Vec::new();
        if self.damaged > 0 {
            caveats.push(Caveat::DamagedLines {
                count: self.damaged,
                first: self.named.clone(),
                reason: self.reason.clone().unwrap_or_default(),
            });
        }
        if self.frames > 0 {
            caveats.push(Caveat::DamagedFrames {
                count: self.frames,
                reason: self.frame_reason.clone().unwrap_or_default(),
            });
        }
        if let Some(error) = &self.cut {
            caveats.push(Caveat::BrokenOff {
                line: self.lines.max(1),
                error: error.clone(),
            });
        }
        if self.unknown > 0 {
            caveats.push(Caveat::UnknownLines(self.unknown));
        }
        caveats
    }
}

enum Input {
    Plain(BufReader<Box<dyn Read>>),
    Compressed(BufReader<Frames<Box<dyn Read>>>),
}

/// A recording that is being read.
pub struct Recording {
    input: Input,
    line: Vec<u8>,
    number: u64,
    ended: bool,
    counts: LineCounts,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Recording");
        text.field("number", &self.number).finish_non_exhaustive()
    }
}

/// Opens the file, or standard input if its name is `-`, and reads nothing of it yet.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path)?),
    })
}

impl Recording {
    /// Reads from `input`, which may be compressed.
    ///
    /// # Errors
    /// When its beginning cannot be read.
    pub fn new(mut input: impl Read + 'static) -> io::Result<Self> {
        let mut magic = Vec::new();
        (&mut input).take(4).read_to_end(&mut magic)?;
        let compressed = frames::begins(&magic);
        let input: Box<dyn Read> = Box::new(io::Cursor::new(magic).chain(input));
        Ok(Self {
            input: if compressed {
                Input::Compressed(BufReader::with_capacity(1 << 17, Frames::new(input)))
            } else {
                Input::Plain(BufReader::new(input))
            },
            line: Vec::new(),
            number: 0,
            ended: false,
            counts: LineCounts::default(),
        })
    }

    /// How much was read so far.
    #[must_use]
    pub fn counts(&self) -> &LineCounts {
        &self.counts
    }

    /// Reads the next line into `self.line`; `None` at the end.
    fn read_line(&mut self) -> io::Result<Option<Result<(), String>>> {
        self.line.clear();
        if self.ended {
            return Ok(None);
        }
        self.read_part(LONGEST_LINE)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') || (self.line.len() as u64) < LONGEST_LINE {
            return Ok(Some(Ok(())));
        }
        while !self.line.is_empty() && self.line.last() != Some(&b'\n') {
            self.line.clear();
            self.read_part(LONGEST_LINE)?;
        }
        Ok(Some(Err(format!("longer than {LONGEST_LINE} bytes"))))
    }

    /// Appends input up to the end of the line or the limit.
    fn read_part(&mut self, limit: u64) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        match &mut self.input {
            Input::Plain(input) => drop(input.take(limit).read_until(b'\n', &mut self.line)?),
            Input::Compressed(input) => {
                (&mut *input)
                    .take(limit)
                    .read_until(b'\n', &mut self.line)?;
                let Damage {
                    frames,
                    reason,
                    cut,
                } = input.get_ref().damage();
                if (*frames, cut) != (self.counts.frames, &self.counts.cut) {
                    self.counts.frames = *frames;
                    self.counts.frame_reason.clone_from(reason);
                    self.counts.cut.clone_from(cut);
                }
            }
        }
        Ok(())
    }

    fn damaged(&mut self, reason: String) -> Item {
        let counts = &mut self.counts;
        counts.damaged += 1;
        if counts.named.len() < NAMED_LINES {
            counts.named.push(self.number);
        }
        counts.reason.get_or_insert(reason);
        Item::Damaged(self.number)
    }
}

impl Iterator for Recording {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let fits = match self.read_line() {
                Ok(read) => read?,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            };
            if fits.is_ok() && self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            self.counts.lines += 1;
            return Some(Ok(match fits.and_then(|()| line::read(&self.line)) {
                Ok(Some(Line::Record(record))) => {
                    self.counts.records += 1;
                    Item::Record(self.number, record)
                }
                Ok(Some(Line::Header(header))) => {
                    self.counts.headers += 1;
                    Item::Header(header)
                }
                Ok(None) => {
                    self.counts.unknown += 1;
                    continue;
                }
                Err(reason) => self.damaged(reason),
            }));
        }
    }
}

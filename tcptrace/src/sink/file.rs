//! A log in one file, plain or compressed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    model::transition::Record,
    sink::{
        Finished, Sink, Tell, blocked,
        frames::Frames,
        lines::Lines,
        open::output::{Opened, Output},
        whole_lines::WholeLines,
    },
    view::{View, parts::clean},
};

/// How often to look whether the file is still the one with its name.
const LOOK: Duration = Duration::from_secs(1);
/// How often to look whether a FIFO has a reader.
const READER: Duration = Duration::from_millis(100);

/// Collects lines and writes many at once.
pub struct File {
    path: PathBuf,
    output: Output,
    lines: Lines,
    /// `None` before a FIFO has a reader.
    target: Option<WholeLines>,
    is_stream: bool,
    frames: Option<Frames>,
    looked: Instant,
    /// Whether it has been said that a new file cannot be opened.
    told: bool,
    files: usize,
    tell: Tell,
}

impl File {
    /// Begins the file anew, like a shell's `>`.
    ///
    /// # Errors
    /// When it cannot be opened; the message is for the user.
    pub fn create(path: &Path, view: Box<dyn View<Record>>, tell: Tell) -> anyhow::Result<Self> {
        let open = || -> io::Result<_> {
            let output = Output::new(path)?;
            let opened = output.open()?;
            let is_stream = !matches!(opened, Some(Opened::File(_)));
            let target = match opened {
                None => None,
                Some(Opened::File(file)) => Some(WholeLines::begin(file)?),
                Some(Opened::Stream(file)) => Some(WholeLines::stream(file)),
            };
            Ok((output, target, is_stream))
        };
        let opened = open().with_context(|| format!("cannot write to {}", clean::path(path)))?;
        let (output, target, is_stream) = opened;
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        let frames = compressed.then(Frames::new).transpose()?;
        Ok(Self {
            path: path.to_owned(),
            output,
            lines: Lines::new(view),
            target,
            is_stream,
            frames,
            looked: Instant::now(),
            told: false,
            files: 1,
            tell,
        })
    }

    /// Passes the lines on to the file, or to what compresses them.
    fn write(&mut self) -> io::Result<()> {
        if self.target.is_none() {
            self.target = Some(WholeLines::stream(self.reader()?));
        }
        let Some(target) = &mut self.target else {
            return Ok(());
        };
        // Somebody who copies the file and empties it takes its beginning along.
        if target.was_emptied()
            && let Some(beginning) = self.lines.beginning()
        {
            match &mut self.frames {
                Some(frames) => frames.put_first(&beginning),
                None => self.lines.begin_in(true),
            }
        }
        let result = self.lines.hand_on(|lines| match &mut self.frames {
            None => target.write(lines).1,
            Some(frames) => frames.add(lines, target),
        });
        result.map_err(|error| self.named(&error))
    }

    /// Waits until the FIFO has a reader.
    fn reader(&self) -> io::Result<fs::File> {
        loop {
            match self.output.open().map_err(|error| self.named(&error))? {
                Some(Opened::File(file) | Opened::Stream(file)) => return Ok(file),
                None => blocked::watch(|| thread::sleep(READER)),
            }
        }
    }

    /// Writes what is waiting to be compressed.
    fn write_frame(&mut self) -> io::Result<()> {
        let (Some(frames), Some(target)) = (&mut self.frames, &mut self.target) else {
            return Ok(());
        };
        let result = frames.write(target);
        result.map_err(|error| self.named(&error))
    }

    /// Goes on in the file that has the name now, if that is another one.
    fn follow_name(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        let Some(target) = self.target.as_ref().filter(|_| !self.is_stream) else {
            return Ok(());
        };
        if self.output.names(target.file()) {
            return Ok(());
        }
        // What was begun belongs to the old file.
        self.write()?;
        self.write_frame()?;
        let opened = match self.output.open() {
            Ok(Some(Opened::File(file))) => WholeLines::append(file),
            Ok(_) => Err(io::Error::other("it is no regular file any more")),
            Err(error) => Err(error),
        };
        match opened {
            Ok(whole) => {
                self.lines.begin_in(whole.size() == 0);
                self.target = Some(whole);
                self.files += 1;
                self.told = false;
            }
            Err(error) if !self.told => {
                self.told = true;
                (self.tell)(&format!(
                    "{}: {error}; tcptrace goes on in the file that had this name before, and tries again every second",
                    clean::path(&self.path)
                ));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// The error with the file's name. It keeps its kind, which identifies a pipe without reader.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(
            error.kind(),
            format!("{}: {error}", clean::path(&self.path)),
        )
    }
}

impl Sink for File {
    fn begin(&mut self, first_line: &[u8]) {
        self.lines.begin(first_line);
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        if self.lines.add(record) {
            self.write()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        if self.frames.as_ref().is_some_and(Frames::is_due) {
            self.write_frame()?;
        }
        if self.looked.elapsed() >= LOOK {
            self.follow_name()?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.follow_name()
    }

    fn finish(&mut self) -> io::Result<Finished> {
        self.write()?;
        self.write_frame()?;
        Ok(Finished {
            lines: self.lines.count(),
            files: self.files,
        })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;

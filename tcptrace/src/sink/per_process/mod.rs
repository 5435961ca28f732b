//! A log in a folder: one file for each process, and an index of them.

mod file_names;
mod index;
mod process_file;
mod rotate;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    model::{
        owner::{Owner, Process},
        request::Rotation,
        transition::Record,
    },
    sink::{
        Finished, Sink,
        lines::heading_line,
        per_process::{
            file_names::FileNames,
            index::{FileEntry, Lost},
            process_file::{Common, ProcessFile},
        },
    },
    view::{Page, View},
};

/// Files open at a time.
const MOST_OPEN: usize = 128;
/// Many files take many system calls, and nobody follows that many files live.
const FLUSH: Duration = Duration::from_millis(250);
/// How old the index may be.
const INDEX: Duration = Duration::from_secs(10);
/// How many files an error names.
const NAMED: usize = 5;

/// The process that a file belongs to: its number and start time; `None` if no process is known.
type ProcessKey = Option<(u32, Option<u64>)>;

/// Reports to the user at once what went wrong.
pub type Tell = Box<dyn FnMut(&str)>;

/// The options from the command line.
#[derive(Debug)]
pub struct FolderOptions {
    /// The folder.
    pub dir: PathBuf,
    /// The extension of the files' names.
    pub extension: &'static str,
    /// When files are rotated.
    pub rotation: Option<Rotation>,
}

/// Hands each record to the file of its process. A file that cannot be written does not stop the
/// others: the user gets a message, and the missing lines are counted.
pub struct PerProcess {
    dir: PathBuf,
    view: Box<dyn View<Record>>,
    common: Common,
    names: FileNames,
    /// Entries of another kind of log in the same folder.
    others: Vec<FileEntry>,
    files: Vec<ProcessFile>,
    by_key: HashMap<ProcessKey, usize>,
    /// Those of `files` that are open.
    open: Vec<usize>,
    records: u64,
    lost: Lost,
    flushed: Instant,
    indexed: Instant,
    /// Whether the index on disk is out of date.
    changed: bool,
    index_reported: bool,
    tell: Tell,
}

impl PerProcess {
    /// Opens the folder, creates it if it does not exist, and continues the files in it.
    ///
    /// # Errors
    /// When it cannot be made, or its index cannot be read or written; the message is for the user.
    pub fn open(
        options: FolderOptions,
        view: Box<dyn View<Record>>,
        tell: Tell,
    ) -> anyhow::Result<Self> {
        let FolderOptions {
            dir,
            extension,
            rotation,
        } = options;
        // Other users must not see which hosts processes talk to.
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&dir);
        made.with_context(|| format!("cannot create the folder {}", dir.display()))?;
        let (index, note) = index::read(&dir)?;
        let (lost, entries) = index.map_or_else(Default::default, |i| (i.lost, i.files));
        let of_this_kind = |entry: &FileEntry| entry.file.ends_with(&format!(".{extension}"));
        let (entries, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(of_this_kind);
        let files: Vec<_> = entries
            .into_iter()
            .filter(|entry| !entry.file.contains('/'))
            .map(|entry| ProcessFile::new(&dir, entry))
            .collect();
        let taken = files.iter().map(|file| file.entry.file.clone());
        let heading = heading_line(&*view);
        let mut folder = Self {
            names: FileNames::new(extension, taken),
            by_key: (files.iter().enumerate())
                .map(|(index, file)| (key_of(&file.entry), index))
                .collect(),
            dir,
            view,
            common: Common {
                heading,
                first_line: Vec::new(),
                rotation,
                reports: Vec::from_iter(note),
            },
            others,
            files,
            open: Vec::new(),
            records: 0,
            lost,
            flushed: Instant::now(),
            indexed: Instant::now(),
            changed: false,
            index_reported: false,
            tell,
        };
        folder.report();
        folder.write_index().context("cannot write the index")?;
        Ok(folder)
    }

    /// The file of this process; it may not exist yet.
    fn file(&mut self, process: Option<&Process>) -> usize {
        let key = process.map(|process| (process.pid, process.started_ns));
        if let Some(index) = self.by_key.get(&key) {
            return *index;
        }
        let file = match process {
            Some(process) => self.names.give(process.pid, &process.comm),
            None => self.names.unknown(),
        };
        let entry = FileEntry {
            file,
            pid: process.map(|process| process.pid),
            comm: process.map(|process| process.comm.to_string()),
            started_ns: process.and_then(|process| process.started_ns),
            ..FileEntry::default()
        };
        self.files.push(ProcessFile::new(&self.dir, entry));
        let index = self.files.len() - 1;
        self.by_key.insert(key, index);
        index
    }

    /// Opens a file unless it is open. Closes another one first if too many are open.
    fn make_open(&mut self, index: usize) {
        if self.files[index].is_open() || self.files[index].must_wait() {
            return;
        }
        if self.open.len() >= MOST_OPEN {
            let used = |at: &usize| self.files[self.open[*at]].used;
            if let Some(oldest) = (0..self.open.len()).min_by_key(used) {
                let closed = self.open.swap_remove(oldest);
                self.files[closed].close(&mut self.common);
            }
        }
        if self.files[index].open(&mut self.common) {
            self.open.push(index);
        }
    }

    /// Passes pending messages on to the user.
    fn report(&mut self) {
        for report in self.common.reports.drain(..) {
            (self.tell)(&report);
        }
    }

    fn write_index(&mut self) -> io::Result<()> {
        self.indexed = Instant::now();
        let files = self.files.iter().map(|file| &file.entry);
        index::write(&self.dir, self.lost, self.others.iter().chain(files))?;
        self.changed = false;
        Ok(())
    }

    /// The missing lines in words; `None` if none is missing.
    fn missing(&self) -> Option<String> {
        let with_missing = self.files.iter().filter(|file| file.missing > 0);
        let mut files: Vec<_> = with_missing.collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.missing));
        let lines: u64 = files.iter().map(|file| file.missing).sum();
        if lines == 0 {
            return None;
        }
        let mut text = format!("{lines} lines could not be written:");
        for file in files.iter().take(NAMED) {
            let error = file.entry.error.as_deref().unwrap_or("unknown error");
            let path = file.path().display();
            let _ = write!(text, "\n  {} of {path} ({error})", file.missing);
        }
        if files.len() > NAMED {
            let _ = write!(text, "\n  and lines of {} more files", files.len() - NAMED);
        }
        Some(text)
    }
}

fn key_of(entry: &FileEntry) -> ProcessKey {
    entry.pid.map(|pid| (pid, entry.started_ns))
}

impl Sink for PerProcess {
    fn begin(&mut self, first_line: &[u8]) {
        self.common.first_line = first_line.to_vec();
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        let (owner, time): (Option<&Owner>, _) = match record {
            Record::Transition(transition) => (transition.owner.as_ref(), transition.time),
            Record::StillOpen(still) => (still.socket.logged_owner(), still.time),
            Record::Loss(loss) => {
                self.lost.add(loss);
                (None, loss.time)
            }
        };
        let index = self.file(owner.map(|owner| &owner.process));
        self.make_open(index);
        self.records += 1;
        self.changed = true;
        let file = &mut self.files[index];
        file.used = self.records;
        let view = &mut self.view;
        file.take(time, &mut self.common, |out| {
            view.show(record, &Page::UNLIMITED, out);
        });
        self.report();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.flushed.elapsed() < FLUSH {
            return Ok(());
        }
        for index in &self.open {
            self.files[*index].write(&mut self.common, false);
        }
        self.flushed = Instant::now();
        if self.changed && self.indexed.elapsed() >= INDEX {
            match self.write_index() {
                Err(error) if !self.index_reported => {
                    self.index_reported = true;
                    let report = format!("{error}; tcptrace tries again every 10 s");
                    self.common.reports.push(report);
                }
                _ => {}
            }
        }
        self.report();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<Finished> {
        for index in self.open.drain(..) {
            self.files[index].close(&mut self.common);
        }
        self.report();
        let index = self.write_index();
        if let Some(missing) = self.missing() {
            return Err(io::Error::other(missing));
        }
        index?;
        let lines = self.files.iter().map(ProcessFile::lines);
        Ok(Finished {
            lines: lines.clone().sum(),
            files: lines.filter(|lines| *lines > 0).count(),
        })
    }
}

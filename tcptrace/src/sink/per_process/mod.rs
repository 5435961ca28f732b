//! A log in a folder: a file for each process, one for all that ran only shortly, and an index.

mod early;
mod file_names;
mod index;
mod key;
mod missing;
mod process_file;
mod rotate;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;

use crate::{
    model::{
        owner::{Owner, Process},
        request::Rotation,
        transition::Record,
    },
    sink::{
        Finished, Runs, Sink, Tell,
        lines::{heading_line, unlimited},
        open::folder::Folder,
        per_process::{
            early::{Early, Waiting},
            index::{FileEntry, Found, Index, Lost},
            key::Key,
            missing::Missing,
            process_file::{Common, ProcessFile},
        },
    },
    view::{View, parts::clean},
};

/// Files open at a time.
const MOST_OPEN: usize = 128;
/// Many files take many system calls, and nobody follows that many files live.
const FLUSH: Duration = Duration::from_millis(250);
/// How often to look whether files still have their names.
const NAMES: Duration = Duration::from_secs(1);
/// How often to look for processes that have ended, and how long their files are kept in mind: some of their
/// sockets go on for that long.
const ENDED: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_secs(60);

/// The options from the command line.
pub struct FolderOptions {
    /// The folder.
    pub dir: PathBuf,
    /// The extension of the files' names.
    pub extension: &'static str,
    /// When files are rotated.
    pub rotation: Option<Rotation>,
    /// How many files of processes there may be in the folder.
    pub max_files: usize,
    /// Tells which processes run.
    pub runs: Runs,
}

/// Hands each record to the file of its process. A file that cannot be written does not stop the
/// others: the user gets a message, and the missing lines are counted.
pub struct PerProcess {
    view: Box<dyn View<Record>>,
    extension: &'static str,
    max_files: usize,
    runs: Runs,
    common: Common,
    index: Index,
    /// The files of processes that run, or have ended a short time ago.
    files: HashMap<Key, ProcessFile>,
    early: Waiting<Key>,
    /// Those of `files` that are open.
    open: Vec<Key>,
    /// Files of processes in the folder, those of earlier sessions included.
    in_folder: usize,
    records: u64,
    lost: Lost,
    written: Finished,
    missing: Missing,
    line: Vec<u8>,
    flushed: Instant,
    named: Instant,
    swept: Instant,
    full_told: bool,
    index_told: bool,
    tell: Tell,
}

impl PerProcess {
    /// Opens the folder, creates it if it does not exist, and continues the files in it.
    ///
    /// # Errors
    /// When it is not safe to write into, or its index cannot be read or written; the message is for the
    /// user.
    pub fn open(
        options: FolderOptions,
        view: Box<dyn View<Record>>,
        tell: Tell,
    ) -> anyhow::Result<Self> {
        let FolderOptions {
            dir,
            extension,
            rotation,
            max_files,
            runs,
        } = options;
        let folder = Folder::open(&dir)?;
        let at_index = || format!("the index of {}", clean::path(&dir));
        let (index, Found { files, note }) = Index::open(&folder).with_context(at_index)?;
        let mut in_folder = 0;
        let kind = format!(".{extension}");
        let of_processes = |name: &str| {
            let begin = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
            name.ends_with(&kind) && (begin || name.starts_with("outside-"))
        };
        let mut count = |name: &str| in_folder += usize::from(of_processes(name));
        (folder.list(&mut count)).with_context(|| format!("the folder {}", clean::path(&dir)))?;
        let continued = files.into_iter().filter(|entry| {
            let runs = entry.pid.is_some_and(|pid| runs(pid, entry.started_ns));
            entry.file.ends_with(&kind) && runs
        });
        let heading = heading_line(&*view);
        let mut folder = Self {
            files: continued
                .map(|entry| (Key::of(&entry), ProcessFile::again(&entry)))
                .collect(),
            view,
            extension,
            max_files,
            runs,
            common: Common {
                folder,
                heading,
                first_line: Vec::new(),
                rotation,
                reports: Vec::from_iter(note),
            },
            index,
            early: Waiting::default(),
            open: Vec::new(),
            in_folder,
            records: 0,
            lost: Lost::default(),
            written: Finished { lines: 0, files: 0 },
            missing: Missing::default(),
            line: Vec::new(),
            flushed: Instant::now(),
            named: Instant::now(),
            swept: Instant::now(),
            full_told: false,
            index_told: false,
            tell,
        };
        folder.report();
        Ok(folder)
    }

    /// Adds a line to a file that has a place.
    fn put(&mut self, key: Key, time: SystemTime, line: &[u8]) {
        let extension = self.extension;
        self.files.entry(key).or_insert_with(|| {
            ProcessFile::new(FileEntry::new(match key {
                Key::Others => file_names::others(extension),
                _ => file_names::unknown(extension),
            }))
        });
        self.make_open(key);
        self.records += 1;
        if let Some(file) = self.files.get_mut(&key) {
            file.used = self.records;
            file.take(time, line, &mut self.common);
        }
        self.report();
    }

    /// Decides where the lines of a process belong: those of one that has ended already, and that were few,
    /// are gathered.
    fn place(&mut self, key: Key, early: &Early, is_long: bool) {
        let process = &early.process;
        let runs = process
            .pid
            .is_none_or(|pid| (self.runs)(pid, process.started_ns));
        let key = match runs || is_long {
            true => self.give_file(key, process).unwrap_or(Key::Others),
            false => Key::Others,
        };
        for (time, line) in early.lines() {
            self.put(key, time, line);
        }
    }

    /// Gives a process a file; `None` if there are too many.
    fn give_file(&mut self, key: Key, process: &Process) -> Option<Key> {
        if self.in_folder >= self.max_files {
            self.tell_full();
            return None;
        }
        let folder = &self.common.folder;
        let there = |name: &str| folder.has(name);
        let file = file_names::of(process.pid, &process.comm, self.extension, there)?;
        self.in_folder += 1;
        let entry = FileEntry {
            pid: process.pid,
            comm: Some(process.comm.to_string()),
            started_ns: process.started_ns,
            ..FileEntry::new(file)
        };
        self.files.insert(key, ProcessFile::new(entry));
        Some(key)
    }

    fn tell_full(&mut self) {
        if !self.full_told {
            self.full_told = true;
            self.common.reports.push(format!(
                "{} has {} files of processes: the lines of further processes go to {} (--max-files)",
                clean::path(self.common.folder.path()),
                self.in_folder,
                file_names::others(self.extension)
            ));
        }
    }

    /// Opens a file unless it is open. Closes another one first if too many are open.
    fn make_open(&mut self, key: Key) {
        let Some(file) = self.files.get(&key) else {
            return;
        };
        if file.is_open() || file.must_wait() {
            return;
        }
        if self.open.len() >= MOST_OPEN {
            let used = |at: &usize| self.files.get(&self.open[*at]).map(|file| file.used);
            if let Some(oldest) = (0..self.open.len()).min_by_key(used) {
                let closed = self.open.swap_remove(oldest);
                if let Some(file) = self.files.get_mut(&closed) {
                    file.close(&mut self.common);
                }
            }
        }
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        if file.open(&mut self.common) {
            self.open.push(key);
            if file.entry.begun == 0 {
                file.entry.begun = 1;
                let entry = FileEntry {
                    ended: 0,
                    ..file.entry.clone()
                };
                let added = self.index.add([entry]);
                self.index_added(added);
            }
        }
    }

    /// The lines of the index that are missing are told once.
    fn index_added(&mut self, added: io::Result<()>) {
        if let Err(error) = added
            .as_ref()
            .err()
            .filter(|_| !self.index_told)
            .map_or(Ok(()), Err)
        {
            self.index_told = true;
            let report = format!("the index cannot be written: {error}; it lacks lines");
            self.common.reports.push(report);
        }
    }

    /// Passes pending messages on to the user.
    fn report(&mut self) {
        for report in self.common.reports.drain(..) {
            (self.tell)(&report);
        }
    }

    /// Closes the files that the condition holds for.
    fn close_if(&mut self, mut holds: impl FnMut(&mut ProcessFile, &mut Common) -> bool) {
        let (files, common) = (&mut self.files, &mut self.common);
        self.open.retain(|key| match files.get_mut(key) {
            Some(file) => !holds(file, common),
            None => false,
        });
    }

    /// Forgets the files of processes that have ended, and says in the index what is in them.
    fn sweep(&mut self) {
        self.swept = Instant::now();
        let ended = |key: &Key, file: &ProcessFile| match key {
            Key::Process(Some(pid), started_ns) => {
                file.used_at.elapsed() >= LINGER && !(self.runs)(*pid, *started_ns)
            }
            _ => false,
        };
        let ended: Vec<Key> = (self.files.iter())
            .filter(|(key, file)| ended(key, file))
            .map(|(key, _)| *key)
            .collect();
        for key in ended {
            self.end_file(key);
        }
        self.open.retain(|key| self.files.contains_key(key));
    }

    fn end_file(&mut self, key: Key) {
        let Some(mut file) = self.files.remove(&key) else {
            return;
        };
        file.close(&mut self.common);
        let mut entry = file.entry.clone();
        if entry.missing > 0 {
            let path = file.path(&self.common.folder);
            self.missing
                .add(entry.missing, &path, entry.error.as_deref());
        }
        if entry.begun == 0 && entry.missing == 0 {
            return;
        }
        self.written.lines += entry.lines;
        self.written.files += usize::from(entry.lines > 0);
        // The line about its beginning counts that.
        (entry.begun, entry.ended) = (0, entry.begun);
        let added = self.index.add([entry]);
        self.index_added(added);
    }
}

impl Sink for PerProcess {
    fn begin(&mut self, first_line: &[u8]) {
        self.common.first_line = first_line.to_vec();
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        let (owner, time): (Option<&Owner>, _) = match record {
            Record::Transition(transition) => (transition.owner(), transition.time),
            Record::StillOpen(still) => (still.socket.logged_owner(), still.time),
            Record::Loss(loss) => {
                self.lost.add(loss);
                (None, loss.time)
            }
        };
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        self.view.show(record, &unlimited(), &mut line);
        match owner.map(|owner| &owner.process) {
            None => self.put(Key::Unknown, time, &line),
            Some(process) => {
                let key = Key::Process(process.pid, process.started_ns);
                if self.files.contains_key(&key) {
                    self.put(key, time, &line);
                } else if self.in_folder >= self.max_files {
                    self.tell_full();
                    self.put(Key::Others, time, &line);
                } else if let Some((key, early)) = self.early.add(key, process, time, &line) {
                    let is_long = early.is_long();
                    self.place(key, &early, is_long);
                }
            }
        }
        self.line = line;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.flushed.elapsed() < FLUSH {
            return Ok(());
        }
        for (key, early) in self.early.due(false) {
            self.place(key, &early, false);
        }
        for key in &self.open {
            if let Some(file) = self.files.get_mut(key) {
                file.write(&mut self.common, false);
            }
        }
        self.flushed = Instant::now();
        if self.named.elapsed() >= NAMES {
            self.named = Instant::now();
            self.close_if(|file, common| {
                file.follow_name(common);
                !file.is_open()
            });
        }
        if self.swept.elapsed() >= ENDED {
            self.sweep();
        }
        self.report();
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.close_if(|file, common| {
            file.close(common);
            true
        });
        self.report();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<Finished> {
        for (key, early) in self.early.due(true) {
            self.place(key, &early, false);
        }
        self.open.clear();
        let mut keys: Vec<Key> = self.files.keys().copied().collect();
        keys.sort_by_key(|key| self.files[key].entry.first);
        for key in keys {
            self.end_file(key);
        }
        let ended = self.index.end(self.lost);
        self.report();
        if let Some(missing) = self.missing.in_words() {
            return Err(io::Error::other(missing));
        }
        ended?;
        Ok(self.written)
    }
}

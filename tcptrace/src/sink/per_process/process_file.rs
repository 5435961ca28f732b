//! One file in a folder: its lines that wait, its size and its errors.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    model::request::Rotation,
    sink::{
        open::folder::Folder,
        per_process::{index::FileEntry, rotate},
        whole_lines::WholeLines,
    },
    view::parts::clean,
};

/// Lines are written as soon as this many bytes wait, without waiting for the next flush.
const ENOUGH: usize = 16 * 1024;
/// Lines that cannot be written are kept up to this many bytes: the disk may have room again.
const MOST: usize = 64 * 1024;
/// How long to wait after a failure before the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// What all files of a folder have in common.
#[derive(Debug)]
pub struct Common {
    /// The folder.
    pub folder: Folder,
    /// The first line of each, with its line end; empty if there is none.
    pub heading: Vec<u8>,
    /// The line, with its line end, that comes before the others of a session, also in a file that
    /// is continued; empty if there is none.
    pub first_line: Vec<u8>,
    /// When a file is rotated.
    pub rotation: Option<Rotation>,
    /// Messages for the user.
    pub reports: Vec<String>,
}

/// The file.
#[derive(Debug)]
pub struct ProcessFile {
    /// Its entry in the index: what this session did.
    pub entry: FileEntry,
    /// When it was last used: a larger number is later.
    pub used: u64,
    /// When it got its last line.
    pub used_at: Instant,
    open: Option<Open>,
    /// Whether the session's first line is in the file.
    begun: bool,
    failed: Option<Instant>,
    /// Numbers of the errors that have been reported.
    reported: Vec<Option<i32>>,
}

/// Only an open file has lines that wait.
#[derive(Debug)]
struct Open {
    whole: WholeLines,
    buffer: Vec<u8>,
    rotate_at: u64,
}

impl ProcessFile {
    /// The file of this entry; it is not opened yet.
    pub fn new(entry: FileEntry) -> Self {
        Self {
            entry,
            used: 0,
            used_at: Instant::now(),
            open: None,
            begun: false,
            failed: None,
            reported: Vec::new(),
        }
    }

    /// The file of an earlier session, with nothing of this session yet.
    pub fn again(entry: &FileEntry) -> Self {
        Self::new(FileEntry {
            pid: entry.pid,
            comm: entry.comm.clone(),
            started_ns: entry.started_ns,
            ..FileEntry::new(entry.file.clone())
        })
    }

    /// Where it is.
    pub fn path(&self, folder: &Folder) -> PathBuf {
        folder.path().join(&self.entry.file)
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it failed to open a moment ago.
    pub fn must_wait(&self) -> bool {
        self.failed.is_some_and(|failed| failed.elapsed() < AGAIN)
    }

    /// Opens the file; returns whether that succeeded.
    pub fn open(&mut self, common: &mut Common) -> bool {
        let file = common.folder.append(&self.entry.file);
        match file.and_then(WholeLines::append) {
            Ok(whole) => {
                self.begun &= whole.size() > 0;
                self.open = Some(Open {
                    whole,
                    buffer: Vec::new(),
                    rotate_at: common.rotation.map_or(u64::MAX, |rotate| rotate.size),
                });
                true
            }
            Err(error) => {
                self.fail(&error, "its lines are missing", common);
                false
            }
        }
    }

    /// Counts a line that cannot be kept.
    pub fn miss(&mut self) {
        self.entry.missing += 1;
    }

    /// Adds a line, if the file is open.
    pub fn take(&mut self, time: SystemTime, line: &[u8], common: &mut Common) {
        self.used_at = Instant::now();
        let Some(open) = &mut self.open else {
            return self.miss();
        };
        let (start, length) = (open.buffer.len(), line.len());
        open.buffer.extend_from_slice(line);
        let first_line = if self.begun {
            0
        } else {
            common.first_line.len()
        };
        if open.whole.size() + (first_line + open.buffer.len()) as u64 > open.rotate_at {
            let line = open.buffer.split_off(start);
            self.rotate(common);
            if let Some(open) = &mut self.open {
                open.buffer.extend_from_slice(&line);
            }
        }
        self.entry.lines += 1;
        self.entry.bytes += length as u64;
        self.entry.first.get_or_insert(time);
        self.entry.last = Some(time);
        if self.waiting() >= ENOUGH {
            self.write(common, false);
        }
        if self.waiting() >= MOST {
            self.drop_after(self.waiting() - length);
        }
    }

    /// Writes the lines that wait. After a failure it waits before it tries again, unless this is
    /// the `last` time.
    pub fn write(&mut self, common: &mut Common, last: bool) {
        let wait = self.must_wait() && !last;
        let Some(open) = self.open.as_mut().filter(|open| !open.buffer.is_empty()) else {
            return;
        };
        if wait {
            return;
        }
        if open.whole.was_emptied() {
            self.begun = false;
        }
        let mut heading = Ok(());
        if open.whole.size() == 0 {
            heading = open.whole.write(&common.heading).1;
        }
        if !self.begun && heading.is_ok() {
            heading = open.whole.write(&common.first_line).1;
            self.begun = heading.is_ok();
        }
        let result = heading.and_then(|()| {
            let (written, result) = open.whole.write(&open.buffer);
            open.buffer.drain(..written);
            result
        });
        match result {
            Ok(()) => {
                self.failed = None;
                if self.entry.missing == 0 {
                    self.entry.error = None;
                }
            }
            Err(error) => self.fail(&error, "lines of it may be lost", common),
        }
    }

    /// Closes the file. Lines that still cannot be written are missing from now on.
    pub fn close(&mut self, common: &mut Common) {
        self.write(common, true);
        self.drop_after(0);
        self.open = None;
    }

    /// Bytes of the lines that wait.
    fn waiting(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.buffer.len())
    }

    /// Drops the waiting lines from this byte on.
    fn drop_after(&mut self, start: usize) {
        let Some(open) = &mut self.open else {
            return;
        };
        let given_up = &open.buffer[start..];
        let lines = given_up.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.entry.lines -= lines;
        self.entry.bytes -= given_up.len() as u64;
        self.entry.missing += lines;
        open.buffer.truncate(start);
    }

    /// Rotates the file if it has a line in it and this is possible.
    fn rotate(&mut self, common: &mut Common) {
        self.write(common, false);
        let (Some(open), Some(Rotation { size, keep })) = (&mut self.open, common.rotation) else {
            return;
        };
        // Lines that could not be written yet belong to this file, and an empty file is not
        // rotated.
        let before = common.heading.len() + common.first_line.len();
        if !open.buffer.is_empty() || open.whole.size() <= before as u64 {
            return;
        }
        let (folder, name) = (&common.folder, &self.entry.file);
        let put_aside = rotate::put_aside(folder, name, keep);
        let next = put_aside.and_then(|()| {
            let next = folder.append(name).and_then(WholeLines::append);
            next.inspect_err(|_| rotate::take_back(folder, name))
        });
        match next {
            Ok(whole) => {
                open.whole = whole;
                open.rotate_at = size;
                self.begun = false;
                self.entry.rotated += 1;
            }
            Err(error) => {
                // It can still be written.
                open.rotate_at = open.whole.size().saturating_add(size);
                let effect = "it cannot be rotated and keeps growing";
                self.report(&error, effect, "at that size", common);
            }
        }
    }

    /// Closes the file if its name means another one by now, or none: the next line goes there.
    pub fn follow_name(&mut self, common: &mut Common) {
        let open = self.open.as_ref();
        let gone =
            open.is_some_and(|open| !common.folder.names(&self.entry.file, open.whole.file()));
        if gone {
            self.close(common);
        }
    }

    /// Keeps the error, and reports it if it is the first of its kind.
    fn fail(&mut self, error: &io::Error, effect: &str, common: &mut Common) {
        self.failed = Some(Instant::now());
        self.entry.error = Some(error.to_string());
        self.report(error, effect, "every second", common);
    }

    fn report(&mut self, error: &io::Error, effect: &str, again: &str, common: &mut Common) {
        let number = error.raw_os_error();
        if !self.reported.contains(&number) {
            self.reported.push(number);
            let path = clean::path(&self.path(&common.folder));
            common.reports.push(format!(
                "{path}: {error}; {effect}. {}; tcptrace tries again {again}",
                advice(error)
            ));
        }
    }
}

/// What the user can do about the error.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room there",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Allow writing there, or choose another --dir"
        }
        io::ErrorKind::IsADirectory => "Remove or rename that folder",
        io::ErrorKind::NotFound => "Create the folder again",
        _ if error.raw_os_error() == Some(libc::EMFILE) => "Raise `ulimit -n`",
        _ => "Check what is wrong there, or choose another --dir",
    }
}

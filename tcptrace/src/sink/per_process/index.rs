//! `index.jsonl`: which process each file of a folder belongs to, and what the file contains. A session appends
//! a line when it begins with a file and one when it has ended with it; what several lines say about a file adds
//! up.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write as _},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{
    model::transition::Loss,
    sink::{open::folder::Folder, whole_lines::WholeLines},
    view::parts::{clean, escaping::Escaping},
};

const NAME: &str = "index.jsonl";
const SCHEMA: &str = "tcptrace.index/1";
/// A larger index is not read: that of 100 000 files is smaller.
const LARGEST: u64 = 64 << 20;

/// A line: about a file, or, with `lost`, about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    schema: String,
    /// When it was written.
    #[serde(with = "moment")]
    time: Option<SystemTime>,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    File(FileEntry),
    Session { lost: Lost },
}

/// As in `tcptrace.lost/1`, but for all sessions: what was lost before it reached any file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    transitions: u64,
    sockets: u64,
    runs: u64,
}

impl Lost {
    /// Counts another loss.
    pub fn add(&mut self, loss: &Loss) {
        self.transitions += loss.transitions;
        self.sockets += loss.sockets;
        self.runs += loss.runs;
    }

    fn and(self, other: Self) -> Self {
        Self {
            transitions: self.transitions.saturating_add(other.transitions),
            sockets: self.sockets.saturating_add(other.sockets),
            runs: self.runs.saturating_add(other.runs),
        }
    }
}

/// One file, and the old ones of it that rotation has renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name in the folder.
    pub file: String,
    /// The process that it belongs to; `None` for records without a known process, and of several.
    pub pid: Option<u32>,
    /// The process's name when the file was begun.
    pub comm: Option<String>,
    /// When the process began, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: Option<u64>,
    /// How many times a session began with it, and ended with it: what a session wrote that was killed is
    /// not counted.
    pub begun: u64,
    /// See `begun`.
    pub ended: u64,
    /// Lines written, without headings.
    pub lines: u64,
    /// Bytes of these lines.
    pub bytes: u64,
    /// Time of the first line.
    #[serde(with = "moment")]
    pub first: Option<SystemTime>,
    /// Time of the last line.
    #[serde(with = "moment")]
    pub last: Option<SystemTime>,
    /// How many times the file was rotated.
    pub rotated: u64,
    /// Lines that could not be written.
    pub missing: u64,
    /// Why.
    pub error: Option<String>,
}

impl FileEntry {
    /// A file with which nothing was done yet.
    pub fn new(file: String) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    /// Adds what another line says about the same file.
    fn add(&mut self, other: Self) {
        let sum = |one: &mut u64, more: u64| *one = one.saturating_add(more);
        sum(&mut self.begun, other.begun);
        sum(&mut self.ended, other.ended);
        sum(&mut self.lines, other.lines);
        sum(&mut self.bytes, other.bytes);
        sum(&mut self.rotated, other.rotated);
        sum(&mut self.missing, other.missing);
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.into_iter().chain(other.last).max();
        self.error = other.error.or(self.error.take());
    }
}

/// The index of a folder, open to append to.
#[derive(Debug)]
pub struct Index {
    whole: WholeLines,
}

/// What an index said.
#[derive(Debug, Default)]
pub struct Found {
    /// The files that are there, in the order in which they were begun.
    pub files: Vec<FileEntry>,
    /// What the user is to know.
    pub note: Option<String>,
}

impl Index {
    /// Reads the folder's index, and begins a new one that says the same with one line for each file that is
    /// there. An index that cannot be understood is renamed.
    ///
    /// # Errors
    /// When it cannot be read, renamed or written.
    pub fn open(folder: &Folder) -> io::Result<(Self, Found)> {
        let (mut found, mut lost) = (Found::default(), Lost::default());
        if let Some(file) = folder.read(NAME)? {
            match read(file, &mut found.files) {
                Ok(read) => lost = read,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let bad = format!("{NAME}.bad");
                    folder.rename(NAME, &bad)?;
                    found.files.clear();
                    found.note = Some(format!(
                        "{}: damaged ({}); it was renamed to {bad}, and tcptrace begins a new one",
                        clean::path(&folder.path().join(NAME)),
                        clean::clean(&error.to_string()),
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        let is_name = |name: &str| !name.contains('/') && !name.starts_with('.');
        found
            .files
            .retain(|entry| is_name(&entry.file) && folder.has(&entry.file));
        let new = format!("{NAME}.new");
        match folder.remove(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut index = Self {
            whole: WholeLines::append(folder.create(&new)?)?,
        };
        let entries = found.files.iter().cloned().map(Entry::File);
        let lost = (lost != Lost::default()).then_some(Entry::Session { lost });
        index.append(entries.chain(lost))?;
        // Who reads it sees either the old one or the new one.
        folder.rename(&new, NAME)?;
        Ok((index, found))
    }

    /// Adds lines about files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, entries: impl IntoIterator<Item = FileEntry>) -> io::Result<()> {
        self.append(entries.into_iter().map(Entry::File))
    }

    /// Adds the line about a session that ends.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&mut self, lost: Lost) -> io::Result<()> {
        self.append([Entry::Session { lost }])
    }

    fn append(&mut self, entries: impl IntoIterator<Item = Entry>) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            let line = Line {
                schema: SCHEMA.to_owned(),
                time: Some(SystemTime::now()),
                entry,
            };
            let mut serializer = serde_json::Serializer::with_formatter(&mut text, Escaping);
            line.serialize(&mut serializer)?;
            text.write_all(b"\n")?;
        }
        self.whole.write(&text).1
    }
}

/// Adds up what the lines say about each file.
fn read(file: File, files: &mut Vec<FileEntry>) -> io::Result<Lost> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    if file.metadata()?.len() > LARGEST {
        return Err(invalid(format!("it has more than {LARGEST} bytes")));
    }
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text)?;
    let (mut lost, mut places) = (Lost::default(), HashMap::new());
    let is_whole = text.last().is_none_or(|last| *last == b'\n');
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        // A session that was killed may leave part of a line at the end.
        if line.is_empty() || (lines.peek().is_none() && !is_whole) {
            continue;
        }
        let line: Line =
            serde_json::from_slice(line).map_err(|error| invalid(error.to_string()))?;
        if line.schema != SCHEMA {
            return Err(invalid(format!("its schema is not {SCHEMA}")));
        }
        match line.entry {
            Entry::Session { lost: more } => lost = lost.and(more),
            Entry::File(entry) => match places.get(&entry.file) {
                Some(place) => {
                    let before: &mut FileEntry = &mut files[*place];
                    before.add(entry);
                }
                None => {
                    places.insert(entry.file.clone(), files.len());
                    files.push(entry);
                }
            },
        }
    }
    Ok(lost)
}

/// Times in RFC 3339.
mod moment {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::view::parts::stamp::LAST_SECOND;

    #[allow(clippy::ref_option)] // serde asks for it
    pub fn serialize<S: Serializer>(time: &Option<SystemTime>, out: S) -> Result<S::Ok, S::Error> {
        match time {
            None => out.serialize_none(),
            Some(time) => {
                let last = UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
                let time = (*time).clamp(UNIX_EPOCH, last);
                out.collect_str(&humantime::format_rfc3339_nanos(time))
            }
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<Option<SystemTime>, D::Error> {
        let text = Option::<String>::deserialize(text)?;
        let parse = |text: String| humantime::parse_rfc3339(&text).map_err(D::Error::custom);
        text.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::view::log::fixtures;

    fn entry() -> FileEntry {
        FileEntry {
            file: "4242-java.log".into(),
            pid: Some(4242),
            comm: Some("java\u{9b}".into()),
            started_ns: Some(81_230_000_000),
            ended: 1,
            lines: 3,
            bytes: 420,
            first: Some(fixtures::time()),
            ..FileEntry::default()
        }
    }

    fn begun() -> FileEntry {
        FileEntry {
            begun: 1,
            ended: 0,
            lines: 0,
            bytes: 0,
            first: None,
            ..entry()
        }
    }

    fn open(dir: &std::path::Path) -> (Index, Found) {
        let folder = Folder::open(dir).expect("a folder of our own");
        Index::open(&folder).expect("there is room")
    }

    #[test]
    fn what_sessions_wrote_adds_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("4242-java.log");
        fs::write(&file, "").expect("a file");
        for session in 0..3 {
            let (mut index, found) = open(dir.path());
            assert_eq!(found.files.len(), usize::from(session > 0));
            assert_eq!(found.note, None);
            index.add([begun()]).expect("there is room");
            // The last one is killed.
            if session < 2 {
                index.add([entry()]).expect("there is room");
                let mut lost = Lost::default();
                lost.add(&fixtures::loss());
                index.end(lost).expect("there is room");
            }
        }
        let (_index, found) = open(dir.path());
        let expected = FileEntry {
            begun: 3,
            ended: 2,
            lines: 6,
            bytes: 840,
            ..entry()
        };
        assert_eq!(found.files, [expected]);
        let text = fs::read_to_string(dir.path().join(NAME)).expect("a file");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("\"transitions\":24"), "{text}");
        // Nothing is said about a file that is gone.
        fs::remove_file(file).expect("it is there");
        assert_eq!(open(dir.path()).1.files, []);
        let text = fs::read_to_string(dir.path().join(NAME)).expect("a file");
        assert!(!text.contains("java"), "{text}");
    }

    #[test]
    fn a_damaged_one_is_kept_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        for damaged in [
            "{\"schema\":\n",
            "{}\n",
            "{\"schema\":\"other/1\",\"time\":null,\"lost\":{\"transitions\":0,\"sockets\":0,\"runs\":0}}\n",
        ] {
            fs::write(dir.path().join(NAME), damaged).expect("a file");
            let (_index, found) = open(dir.path());
            assert_eq!(found.files, []);
            let note = found.note.expect("the user is told");
            assert!(note.contains("index.jsonl.bad"), "{note}");
            let bad = fs::read_to_string(dir.path().join("index.jsonl.bad"));
            assert_eq!(bad.expect("a file"), damaged);
        }
    }

    #[test]
    fn a_huge_one_is_not_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = fs::File::create(dir.path().join(NAME)).expect("a file");
        file.set_len(LARGEST + 1).expect("it takes no room");
        let note = open(dir.path()).1.note.expect("the user is told");
        assert!(note.contains("more than"), "{note}");
    }

    #[test]
    fn part_of_a_line_at_the_end_is_no_damage() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("4242-java.log"), "").expect("a file");
        open(dir.path()).0.add([begun()]).expect("there is room");
        let path = dir.path().join(NAME);
        let mut text = fs::read_to_string(&path).expect("a file");
        text += "{\"schema\":\"tcptr";
        fs::write(&path, text).expect("a file");
        let found = open(dir.path()).1;
        assert_eq!((found.files, found.note), (vec![begun()], None));
    }
}

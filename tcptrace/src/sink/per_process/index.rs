//! `index.json`: which process each file of a folder belongs to, and what the file contains.

use std::{
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
    time::SystemTime,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{model::transition::Loss, view::parts::escaping::Escaping};

const NAME: &str = "index.json";
const SCHEMA: &str = "tcptrace.index/1";

/// What is in the folder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Index<F = Vec<FileEntry>> {
    schema: String,
    /// When it was written.
    #[serde(with = "moment")]
    time: Option<SystemTime>,
    /// What was lost before it reached any file.
    pub lost: Lost,
    /// The files, in the order in which their processes appeared.
    pub files: F,
}

/// As in `tcptrace.lost/1`, but for all sessions.
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
}

/// One file, and the old ones of it that rotation has renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name in the folder.
    pub file: String,
    /// The process that it belongs to; `None` for records without a known process.
    pub pid: Option<u32>,
    /// The process's name when the file was begun.
    pub comm: Option<String>,
    /// When the process began, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: Option<u64>,
    /// Lines written in all sessions, without headings.
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

/// Reads the folder's index, if it has one. The second value is a message for the user when the
/// index was damaged and has been renamed.
///
/// # Errors
/// When it cannot be read, or is damaged and cannot be renamed.
pub fn read(dir: &Path) -> anyhow::Result<(Option<Index>, Option<String>)> {
    let path = dir.join(NAME);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let why = match serde_json::from_slice::<Index>(&text) {
        Ok(index) if index.schema == SCHEMA => return Ok((Some(index), None)),
        Ok(_) => format!("its schema is not {SCHEMA}"),
        Err(error) => error.to_string(),
    };
    let bad = dir.join(format!("{NAME}.bad"));
    fs::rename(&path, &bad).with_context(|| format!("cannot rename {}", path.display()))?;
    let note = format!(
        "{}: damaged ({why}); it was renamed to {}, and tcptrace begins a new one",
        path.display(),
        bad.display()
    );
    Ok((None, Some(note)))
}

/// Replaces the folder's index. A concurrent reader sees either the old one or the new one.
///
/// # Errors
/// When it cannot be written; the message has the file's name.
pub fn write<'a>(
    dir: &Path,
    lost: Lost,
    entries: impl Iterator<Item = &'a FileEntry>,
) -> io::Result<()> {
    let index = Index {
        schema: SCHEMA.to_owned(),
        time: Some(SystemTime::now()),
        lost,
        files: entries.collect::<Vec<_>>(),
    };
    let path = dir.join(NAME);
    let new = dir.join(format!("{NAME}.new"));
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(fs::File::create(&new)?);
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Escaping);
        index.serialize(&mut serializer)?;
        out.write_all(b"\n")?;
        out.flush()?;
        fs::rename(&new, &path)
    };
    write().map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
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
    use super::*;
    use crate::view::log::fixtures;

    fn entry() -> FileEntry {
        FileEntry {
            file: "4242-java.log".into(),
            pid: Some(4242),
            comm: Some("java\u{9b}".into()),
            started_ns: Some(81_230_000_000),
            lines: 3,
            bytes: 420,
            first: Some(fixtures::time()),
            ..FileEntry::default()
        }
    }

    #[test]
    fn it_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(read(dir.path()).expect("no index").0, None);
        let mut lost = Lost::default();
        lost.add(&fixtures::loss());
        write(dir.path(), lost, [&entry()].into_iter()).expect("there is room");
        let (index, note) = read(dir.path()).expect("it is there");
        let index = index.expect("it is there");
        assert_eq!(note, None);
        assert_eq!(index.files, [entry()]);
        assert_eq!(index.lost.transitions, 12);
        let names = fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(names, 1, "nothing else is left behind");
    }

    #[test]
    fn a_damaged_one_is_kept_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        for damaged in [
            "{\"schema\":",
            "{}",
            "{\"schema\":\"other/1\",\"files\":[]}",
        ] {
            fs::write(dir.path().join(NAME), damaged).expect("a file");
            let (index, note) = read(dir.path()).expect("it can be renamed");
            assert_eq!(index, None);
            let note = note.expect("the user is told");
            assert!(note.contains("index.json.bad"), "{note}");
            let bad = fs::read_to_string(dir.path().join("index.json.bad"));
            assert_eq!(bad.expect("a file"), damaged);
        }
    }
}

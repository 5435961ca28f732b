//! A log in one file, plain or compressed.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use zstd::stream::write::Encoder;

use crate::{
    model::transition::Record,
    sink::{Finished, Sink, lines::Lines, whole_lines::WholeLines},
    view::View,
};

/// Ending a block more often would cost time and space.
const BLOCK: Duration = Duration::from_secs(1);
/// The fastest of the ordinary levels.
const LEVEL: i32 = 1;

/// Collects lines and writes many at once.
pub struct File {
    path: PathBuf,
    lines: Lines,
    target: Target,
}

enum Target {
    Plain(WholeLines),
    Compressed {
        encoder: Encoder<'static, fs::File>,
        /// When everything given to the encoder was in the file.
        flushed: Instant,
        /// Whether anything has been given to it since then.
        waiting: bool,
    },
}

impl File {
    /// Truncates the file, like a shell's `>`.
    ///
    /// # Errors
    /// When it cannot be opened; the message is for the user.
    pub fn create(path: &Path, view: Box<dyn View<Record>>) -> anyhow::Result<Self> {
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        let target = open(path, compressed)
            .with_context(|| format!("cannot write to {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            lines: Lines::new(view),
            target,
        })
    }

    /// Passes the lines on to the file or to its encoder.
    fn write(&mut self) -> io::Result<()> {
        let result = self.lines.hand_on(|lines| match &mut self.target {
            Target::Plain(whole) => whole.write(lines).1,
            Target::Compressed {
                encoder, waiting, ..
            } => {
                *waiting = true;
                encoder.write_all(lines)
            }
        });
        result.map_err(|error| self.named(&error))
    }

    /// The error with the file's name. It keeps its kind, which identifies a pipe without reader.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }
}

fn open(path: &Path, compressed: bool) -> io::Result<Target> {
    if !compressed {
        return Ok(Target::Plain(WholeLines::create(path)?));
    }
    let mut encoder = Encoder::new(fs::File::create(path)?, LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(Target::Compressed {
        encoder,
        flushed: Instant::now(),
        waiting: false,
    })
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
        let result = match &mut self.target {
            Target::Compressed {
                encoder,
                flushed,
                waiting,
            } if *waiting && flushed.elapsed() >= BLOCK => {
                *flushed = Instant::now();
                *waiting = false;
                encoder.flush()
            }
            _ => Ok(()),
        };
        result.map_err(|error| self.named(&error))
    }

    fn finish(&mut self) -> io::Result<Finished> {
        self.write()?;
        let result = match &mut self.target {
            Target::Plain(_) => Ok(()),
            Target::Compressed { encoder, .. } => encoder.do_finish(),
        };
        result.map_err(|error| self.named(&error))?;
        Ok(Finished {
            lines: self.lines.count(),
            files: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::view::log::{fixtures, json::Json, text};

    fn json() -> Box<dyn View<Record>> {
        Box::new(Json::default())
    }

    fn write(sink: &mut File, records: u32) {
        for pid in 0..records {
            let record = fixtures::of(pid, "java");
            sink.record(&record).expect("there is room");
        }
    }

    #[test]
    fn a_file_is_begun_anew_and_has_every_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.log");
        fs::write(&path, "old\n").expect("a file");
        let view = text::Text::new(text::Medium::File, None);
        let mut sink = File::create(&path, Box::new(view)).expect("it opens");
        write(&mut sink, 3);
        sink.flush().expect("there is room");
        let content = fs::read_to_string(&path).expect("a file");
        assert_eq!(content.lines().count(), 4, "{content}");
        assert!(content.starts_with("TIME"), "{content}");
        write(&mut sink, 1000);
        let finished = sink.finish().expect("there is room");
        let (lines, files) = (1003, 1);
        assert_eq!(finished, Finished { lines, files });
        let content = fs::read_to_string(&path).expect("a file");
        assert_eq!(content.lines().count(), 1004);
    }

    #[test]
    fn a_compressed_file_reads_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.jsonl.zst");
        let mut sink = File::create(&path, json()).expect("it opens");
        write(&mut sink, 1000);
        sink.finish().expect("there is room");
        let compressed = fs::read(&path).expect("a file");
        let content = zstd::decode_all(&*compressed).expect("a whole frame");
        let content = String::from_utf8(content).expect("JSON is UTF-8");
        assert_eq!(content.lines().count(), 1000);
        assert!(compressed.len() < content.len() / 10);
    }

    #[test]
    fn what_a_killed_process_leaves_can_be_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.jsonl.zst");
        let mut sink = File::create(&path, json()).expect("it opens");
        write(&mut sink, 10);
        if let Target::Compressed { flushed, .. } = &mut sink.target {
            *flushed -= BLOCK;
        }
        sink.flush().expect("there is room");
        write(&mut sink, 10);
        sink.flush().expect("there is room"); // too early for another block
        let compressed = fs::read(&path).expect("a file");
        let mut content = Vec::new();
        let mut decoder = zstd::Decoder::new(&*compressed).expect("it begins");
        decoder
            .read_to_end(&mut content)
            .expect_err("it has no end");
        let content = String::from_utf8(content).expect("JSON is UTF-8");
        assert_eq!(content.lines().count(), 10);
        assert!(content.ends_with('\n'));
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["a.jsonl", "a.jsonl.zst"] {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
            let mut sink = File::create(&path, json()).expect("it opens");
            write(&mut sink, 10);
            let error = sink.finish().expect_err("there is no room");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = File::create(Path::new("/no/such/folder/a"), json());
        let error = error.err().map(|error| format!("{error:#}"));
        let error = error.expect("there is no such folder");
        assert!(error.contains("/no/such/folder/a"), "{error}");
    }
}

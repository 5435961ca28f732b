//! Where output goes: to the screen; a log also into one file, or into one for each process.

pub mod blocked;
pub mod characters;
mod file;
mod frames;
mod lines;
pub mod messages;
mod open;
mod per_process;
pub mod screen;
mod stream;
mod whole_lines;
pub mod writer;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use crate::{
    model::{request::Rotation, transition::Record},
    view::{
        Format,
        log::{self, Medium},
    },
};

/// The destination of a log. After an error, except from [`finish`](Self::finish), nothing more can
/// be written. A sink that can continue without some of its lines reports this on standard error,
/// continues, and returns the error at the end.
pub trait Sink: Send {
    /// Puts this header line, with its line end, before the records from here on, in each file that
    /// gets any. Empty for none.
    fn begin(&mut self, first_line: &[u8]);

    /// Takes a record; its line may stay in memory until the next flush.
    ///
    /// # Errors
    /// When the output cannot be written; `BrokenPipe` when its reader has gone.
    fn record(&mut self, record: &Record) -> io::Result<()>;

    /// Writes what waits in memory. Call this after each batch, and at least once a second while
    /// nothing happens. It costs little, and a sink may skip a call shortly after the previous one.
    ///
    /// # Errors
    /// The same as [`record`](Self::record).
    fn flush(&mut self) -> io::Result<()>;

    /// Goes on in the files that have the names now, which somebody may have renamed.
    ///
    /// # Errors
    /// The same as [`record`](Self::record).
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Writes everything that still waits. Call this at the end, whatever the reason for the end
    /// is.
    ///
    /// # Errors
    /// The same as [`record`](Self::record); also if any line of the session could not be written.
    fn finish(&mut self) -> io::Result<Finished>;
}

/// Tells the user at once what went wrong.
pub type Tell = Box<dyn FnMut(&str) + Send>;

/// Whether a process with this number and start time, in ns of `CLOCK_BOOTTIME`, runs.
pub type Runs = Box<dyn Fn(u32, Option<u64>) -> bool + Send>;

/// What a sink has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Lines, without headings and header lines.
    pub lines: u64,
    /// Files that have lines of this session; 0 for the screen.
    pub files: usize,
}

/// The requested destination of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To standard output.
    Screen {
        /// Whether a terminal gets each socket that is still open at the end, and not only groups.
        all: bool,
    },
    /// One file, which is overwritten; a name that ends in `.zst` makes it compressed.
    File(PathBuf),
    /// One file for each process in this folder; existing files are continued.
    Folder {
        /// The folder.
        dir: PathBuf,
        /// When files are rotated; `None` for never.
        rotation: Option<Rotation>,
        /// How many files of processes it may have.
        max_files: usize,
    },
}

/// The sink for a log in this format. `own_netns` is the inode number of the network namespace that
/// lines do not name; `tell` takes what the user is to know at once; `runs` tells which processes run.
///
/// # Errors
/// When a file or folder cannot be created; the message is for the user.
pub fn choose(
    place: Place,
    format: Format,
    own_netns: Option<u32>,
    tell: Tell,
    runs: Runs,
) -> anyhow::Result<Box<dyn Sink>> {
    let view = || log::choose(format, Medium::File { colour: false }, own_netns);
    if !matches!(place, Place::Screen { .. }) {
        open::keep_private();
    }
    Ok(match place {
        Place::Screen { all } => screen(format, own_netns, all),
        Place::File(path) => Box::new(file::File::create(&path, view(), tell)?),
        Place::Folder {
            dir,
            rotation,
            max_files,
        } => {
            let options = per_process::FolderOptions {
                dir,
                extension: match format {
                    Format::Text => "log",
                    Format::Json => "jsonl",
                },
                rotation,
                max_files,
                runs,
            };
            let view = view();
            Box::new(per_process::PerProcess::open(options, view, tell)?)
        }
    })
}

/// Whether a log in this format on standard output ends with groups of what is still open, because a person reads it on a
/// terminal.
#[must_use]
pub fn ends_with_groups(format: Format) -> bool {
    format == Format::Text && io::stdout().is_terminal()
}

/// The sink for a log on standard output. `all`: whether a terminal gets each socket that is still open at the end.
#[must_use]
pub fn screen(format: Format, own_netns: Option<u32>, all: bool) -> Box<dyn Sink> {
    let wanted = anstream::AutoStream::choice(&io::stdout());
    let colour = wanted != anstream::ColorChoice::Never;
    let on_terminal = ends_with_groups(format);
    let (medium, page): (_, fn() -> _) = match on_terminal {
        true => (Medium::Screen { colour, all }, || screen::page(true)),
        false => (Medium::File { colour }, || screen::page(false)),
    };
    let view = log::choose(format, medium, own_netns);
    Box::new(stream::Stream::new(io::stdout(), view, page))
}

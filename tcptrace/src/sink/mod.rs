//! Where output goes: to the screen; a log also into one file, or into one for each process.

mod file;
mod lines;
mod per_process;
pub mod screen;
mod stream;
mod whole_lines;

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use crate::{
    model::{request::Rotation, transition::Record},
    view::{
        Format,
        log::{self, text::Medium},
    },
};

/// The destination of a log. After an error, except from [`finish`](Self::finish), nothing more can
/// be written. A sink that can continue without some of its lines reports this on standard error,
/// continues, and returns the error at the end.
pub trait Sink {
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

    /// Writes everything that still waits. Call this at the end, whatever the reason for the end
    /// is.
    ///
    /// # Errors
    /// The same as [`record`](Self::record); also if any line of the session could not be written.
    fn finish(&mut self) -> io::Result<Finished>;
}

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
    Screen,
    /// One file, which is overwritten; a name that ends in `.zst` makes it compressed.
    File(PathBuf),
    /// One file for each process in this folder; existing files are continued.
    Folder {
        /// The folder.
        dir: PathBuf,
        /// When files are rotated; `None` for never.
        rotation: Option<Rotation>,
    },
}

/// The sink for a log in this format. `own_netns` is the inode number of the network namespace that
/// lines do not name.
///
/// # Errors
/// When a file or folder cannot be created; the message is for the user.
pub fn choose(
    place: Place,
    format: Format,
    own_netns: Option<u32>,
) -> anyhow::Result<Box<dyn Sink>> {
    let view = |medium| log::choose(format, medium, own_netns);
    Ok(match place {
        Place::Screen => {
            let wanted = anstream::AutoStream::choice(&io::stdout());
            let colour = wanted != anstream::ColorChoice::Never;
            Box::new(stream::Stream::new(
                io::stdout(),
                view(Medium::Screen { colour }),
            ))
        }
        Place::File(path) => Box::new(file::File::create(&path, view(Medium::File))?),
        Place::Folder { dir, rotation } => {
            let options = per_process::FolderOptions {
                dir,
                extension: match format {
                    Format::Text => "log",
                    Format::Json => "jsonl",
                },
                rotation,
            };
            let tell = Box::new(|report: &str| {
                // There is nowhere to report that standard error is closed.
                let _ = writeln!(io::stderr(), "tcptrace: {report}");
            });
            let view = view(Medium::File);
            Box::new(per_process::PerProcess::open(options, view, tell)?)
        }
    })
}

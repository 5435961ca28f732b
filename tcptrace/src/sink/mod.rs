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

/// Where a log goes. After an error other than [`finish`](Self::finish)'s nothing more can be
/// written: a sink that can go on without some of its lines says so on standard error, does, and
/// returns the error at the end.
pub trait Sink {
    /// Puts this line before the records from here on, in each file that gets any: what they are of,
    /// with its end. Empty for none.
    fn begin(&mut self, first_line: &[u8]);

    /// Takes a record; its line may stay in memory until the next flush.
    ///
    /// # Errors
    /// When the output cannot be written; `BrokenPipe` when its reader has gone.
    fn record(&mut self, record: &Record) -> io::Result<()>;

    /// Writes what waits in memory. To be called after each batch and also while nothing happens,
    /// at least once a second: it is cheap, and a sink may leave a call out when the one before was
    /// a moment ago.
    ///
    /// # Errors
    /// As those of [`record`](Self::record).
    fn flush(&mut self) -> io::Result<()>;

    /// Writes everything that is still to be written. To be called at the end, whatever ends it.
    ///
    /// # Errors
    /// As those of [`record`](Self::record); also when any line of the session could not be
    /// written, however the rest went.
    fn finish(&mut self) -> io::Result<Finished>;
}

/// What a sink has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Lines, without headings and first lines.
    pub lines: u64,
    /// Files that have lines of this session; 0 for the screen.
    pub files: usize,
}

/// Where a log is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To standard output.
    Screen,
    /// Into one file, in place of what is in it; one that ends in `.zst` is compressed.
    File(PathBuf),
    /// Into one file for each process in this folder; what is there is continued.
    Folder {
        /// The folder.
        dir: PathBuf,
        /// When files are put aside; `None` for never.
        rotation: Option<Rotation>,
    },
}

/// The sink for a log in this format. `own_netns` is the inode number of the network namespace that
/// goes without saying.
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
                // Nobody is left to tell when standard error is closed.
                let _ = writeln!(io::stderr(), "tcptrace: {report}");
            });
            let view = view(Medium::File);
            Box::new(per_process::PerProcess::open(options, view, tell)?)
        }
    })
}

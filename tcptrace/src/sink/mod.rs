//! Where a log goes: to the screen, into one file, or into one file for each process.

mod file;
mod index;
mod member;
mod names;
mod per_process;
mod rotate;
mod screen;
mod whole;

use std::io::{self, Write as _};

use crate::{
    model::{request::LogRequest, transition::Record},
    view::log::{lines, text},
};

/// Where a log goes. After an error other than [`finish`](Self::finish)'s nothing more can be
/// written: a sink that can go on without some of its lines says so on standard error, does, and
/// returns the error at the end.
pub trait Sink {
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
    /// Lines, without headings.
    pub lines: u64,
    /// Files that have lines of this session; 0 for the screen.
    pub files: usize,
}

/// The sink that is asked for. `own_netns` is the inode number of the network
/// namespace that goes without saying.
///
/// # Errors
/// When a file or folder cannot be created; the message is for the user.
pub fn choose(request: &LogRequest, own_netns: Option<u32>) -> anyhow::Result<Box<dyn Sink>> {
    let for_file = || lines(request.show.json, text::Look::File, own_netns);
    if let Some(dir) = &request.dir {
        let options = per_process::Options {
            dir: dir.clone(),
            extension: if request.show.json { "jsonl" } else { "log" },
            rotate: request.rotation.map(|rotation| rotate::Rotate {
                size: rotation.size,
                keep: rotation.keep,
            }),
        };
        let tell = Box::new(|report: &str| {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "tcptrace: {report}");
        });
        return Ok(Box::new(per_process::PerProcess::open(
            options,
            for_file(),
            tell,
        )?));
    }
    match &request.output {
        Some(path) => Ok(Box::new(file::File::create(path, for_file())?)),
        None => Ok(screen(request.show.json, own_netns)),
    }
}

/// A sink that writes to standard output.
#[must_use]
pub fn screen(json: bool, own_netns: Option<u32>) -> Box<dyn Sink> {
    let wanted = anstream::AutoStream::choice(&io::stdout());
    let colour = wanted != anstream::ColorChoice::Never;
    let lines = lines(json, text::Look::Screen { colour }, own_netns);
    Box::new(screen::Screen::new(io::stdout(), lines))
}

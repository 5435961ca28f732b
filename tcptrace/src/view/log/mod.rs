//! Views of a log: a line for each record, what is still open at the end, and the summary.

mod columns;
pub mod ends;
mod header;
pub mod json;
mod pieces;
pub mod screen;
pub mod summary;
pub mod text;

#[cfg(test)]
pub(crate) mod fixtures;

use crate::{
    model::{recording::RecordingHeader, transition::Record},
    view::{Format, View},
};

/// What text is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A terminal: short times, lines that fit, and at the end groups of what is still open.
    Screen {
        /// Whether colours are wanted.
        colour: bool,
        /// Whether each socket is listed that is still open at the end.
        all: bool,
    },
    /// A file or a pipe: all columns, and a line for each socket that is still open.
    File {
        /// Whether colours are wanted.
        colour: bool,
    },
}

/// The view of this format on this medium. `own_netns` is the inode number of the network namespace
/// that lines of a file do not name.
#[must_use]
pub fn choose(format: Format, medium: Medium, own_netns: Option<u32>) -> Box<dyn View<Record>> {
    match (format, medium) {
        (Format::Text, Medium::Screen { colour, all }) => {
            Box::new(screen::Screen::new(colour, all))
        }
        (Format::Text, Medium::File { colour }) => Box::new(text::Text::new(colour, own_netns)),
        (Format::Json, _) => Box::new(json::Json::default()),
    }
}

/// The header line, with its line end, which comes first in JSON. Empty for text, which has none.
#[must_use]
pub fn first_line(format: Format, header: &RecordingHeader) -> Vec<u8> {
    match format {
        Format::Text => Vec::new(),
        Format::Json => header::line(header),
    }
}

//! Views of a log: a line for each record, and what it ends with.

mod header;
pub mod json;
pub mod summary;
pub mod text;

#[cfg(test)]
pub(crate) mod fixtures;

use crate::{
    model::{recording::RecordingHeader, transition::Record},
    view::{Format, View},
};

/// The view of this format on this medium. `own_netns` is the inode number of the network namespace
/// that goes without saying.
#[must_use]
pub fn choose(
    format: Format,
    medium: text::Medium,
    own_netns: Option<u32>,
) -> Box<dyn View<Record>> {
    match format {
        Format::Text => Box::new(text::Text::new(medium, own_netns)),
        Format::Json => Box::new(json::Json::default()),
    }
}

/// The line, with its end, that says what the records after it are of: what comes first in JSON.
/// Empty in text, which does not tell.
#[must_use]
pub fn first_line(format: Format, header: &RecordingHeader) -> Vec<u8> {
    match format {
        Format::Text => Vec::new(),
        Format::Json => header::line(header),
    }
}

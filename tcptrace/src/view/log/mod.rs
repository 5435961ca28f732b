//! Views of a log: a line for each record, and the summary.

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
/// that lines do not name.
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

/// The header line, with its line end, which comes first in JSON. Empty for text, which has none.
#[must_use]
pub fn first_line(format: Format, header: &RecordingHeader) -> Vec<u8> {
    match format {
        Format::Text => Vec::new(),
        Format::Json => header::line(header),
    }
}

//! Views of a log: a line for each record, and what it ends with.

pub mod json;
pub mod summary;
pub mod text;

#[cfg(test)]
pub(crate) mod fixtures;

use crate::{
    model::transition::Record,
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

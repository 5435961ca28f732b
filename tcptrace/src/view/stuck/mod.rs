//! Views of stuck sockets.

mod groups;
mod headline;
mod held_by;
mod json;
mod sockets;
pub mod summary;
mod text;

use crate::{
    model::stuck::snapshot::Snapshot,
    view::{Format, View},
};

/// What is wanted of a view of stuck sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StuckOptions {
    /// For whom it is.
    pub format: Format,
    /// How many sockets it shows at most; `None` for as many as is sensible.
    pub limit: Option<usize>,
    /// Whether it shows all sockets, whatever the limit.
    pub all: bool,
}

/// The view that is wanted.
#[must_use]
pub fn choose(options: StuckOptions) -> Box<dyn View<Snapshot>> {
    match options.format {
        Format::Json => Box::new(json::Json::new(options.limit)),
        Format::Text => Box::new(text::Text::new(match options.limit {
            _ if options.all => text::Limit::None,
            Some(limit) => text::Limit::Rows(limit),
            None => text::Limit::Screen,
        })),
    }
}

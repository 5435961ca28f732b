//! Views of stuck sockets.

mod cause;
pub mod explained;
#[cfg(test)]
pub mod fixtures;
mod groups;
mod headline;
mod held_by;
mod json;
mod names;
mod notes;
mod residue;
mod rows;
mod sockets;
pub mod summary;
mod text;
#[cfg(test)]
mod text_tests;

use crate::{
    model::{request::Explain, stuck::snapshot::Snapshot},
    view::{Format, View},
};

/// The options of a view of stuck sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StuckOptions {
    /// The format.
    pub format: Format,
    /// The maximum number of sockets; `None` for the default.
    pub limit: Option<usize>,
    /// Whether it shows all sockets, regardless of the limit.
    pub all: bool,
    /// Whether it shows all arguments of the processes.
    pub arguments: bool,
    /// Whether text explains groups instead of listing sockets.
    pub explain: Option<Explain>,
}

/// The view for these options.
#[must_use]
pub fn choose(options: StuckOptions) -> Box<dyn View<Snapshot>> {
    match options.format {
        Format::Json => Box::new(json::Json::new(options.limit, options.arguments)),
        Format::Text => {
            let limit = match options.limit {
                _ if options.all => text::Limit::None,
                Some(limit) => text::Limit::Rows(limit),
                None => text::Limit::Screen,
            };
            Box::new(text::Text::new(limit, options.arguments, options.explain))
        }
    }
}

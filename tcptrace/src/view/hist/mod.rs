//! Views of durations.

mod bars;
#[cfg(test)]
mod fixtures;
mod json;
mod label;
mod rows;
mod text;
pub mod warnings;

use crate::{
    model::hist::report::Report,
    view::{Format, View},
};

/// What is wanted of a view of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistOptions {
    /// For whom it is.
    pub format: Format,
    /// How many keys of each state it shows at most; `None` for as many as is sensible.
    pub top: Option<usize>,
    /// Whether text is plain ASCII.
    pub ascii: bool,
}

/// The view that is wanted.
#[must_use]
pub fn choose(options: HistOptions) -> Box<dyn View<Report>> {
    match options.format {
        Format::Text => Box::new(text::Text::new(options.top, options.ascii)),
        Format::Json => Box::new(json::Json::new(options.top)),
    }
}

//! Views of durations.

mod bars;
mod drawn;
#[cfg(test)]
pub(crate) mod fixtures;
mod json;
mod label;
mod rows;
mod text;
#[cfg(test)]
mod text_tests;
pub mod warnings;

use crate::{
    model::hist::report::Report,
    view::{Format, View},
};

/// The options of a view of durations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistOptions {
    /// The format.
    pub format: Format,
    /// The maximum number of keys per state; `None` for the default.
    pub top: Option<usize>,
    /// The filters as words, not yet fit for a terminal; empty without any.
    pub filters: String,
}

/// The view for these options.
#[must_use]
pub fn choose(options: HistOptions) -> Box<dyn View<Report>> {
    match options.format {
        Format::Text => Box::new(text::Text::new(options.top, &options.filters)),
        Format::Json => Box::new(json::Json::new(options.top)),
    }
}

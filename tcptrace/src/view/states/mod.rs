//! Views of numbers by state.

mod json;
mod text;

use crate::{
    model::states::report::Report,
    view::{Format, View},
};

/// The options of a view of numbers by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatesOptions {
    /// The format.
    pub format: Format,
    /// The maximum number of groups; `None` for the default.
    pub top: Option<usize>,
}

/// The view for these options.
#[must_use]
pub fn choose(options: StatesOptions) -> Box<dyn View<Report>> {
    match options.format {
        Format::Text => Box::new(text::Text::new(options.top)),
        Format::Json => Box::new(json::Json::new(options.top)),
    }
}

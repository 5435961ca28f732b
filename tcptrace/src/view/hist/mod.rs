//! Views of durations.

mod bars;
#[cfg(test)]
mod fixtures;
mod json;
mod label;
mod rows;
mod text;

use std::io;

use crate::model::{hist::report::Report, request::HistShow};

/// Shows reports.
pub trait View {
    /// Shows one.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn report(&mut self, report: &Report) -> io::Result<()>;
}

/// The view that is asked for.
#[must_use]
pub fn choose(show: &HistShow) -> Box<dyn View> {
    if show.json {
        Box::new(json::Json::new(show.top))
    } else {
        Box::new(text::Text::new(show.top, show.ascii))
    }
}

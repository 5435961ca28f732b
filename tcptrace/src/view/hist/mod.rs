//! Views of durations.

mod bars;
#[cfg(test)]
mod fixtures;
mod json;
mod label;
mod rows;
mod text;

use std::io;

use crate::{cli::Histograms, model::hist::report::Report};

/// Shows reports.
pub trait View {
    /// Shows one.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn report(&mut self, report: &Report) -> io::Result<()>;
}

/// The view that the command line asks for.
#[must_use]
pub fn choose(arguments: &Histograms) -> Box<dyn View> {
    let top = arguments.top.map(|top| top as usize);
    if arguments.json {
        Box::new(json::Json::new(top))
    } else {
        Box::new(text::Text::new(top, arguments.ascii))
    }
}

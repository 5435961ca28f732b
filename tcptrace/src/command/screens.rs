//! The screens that requests ask for.

use crate::{
    model::{
        hist::report::Report,
        request::{Explain, HistShow, StatesRequest, StuckShow, UsageError},
        states,
        stuck::snapshot::Snapshot,
    },
    sink::screen::{Follow, Screen},
    view::{self, Format, View, hist, stuck},
};

/// The screen for snapshots, which has all arguments of processes if `arguments`; how looks follow each
/// other on a terminal.
pub fn of_stuck(show: &StuckShow, arguments: bool, follow: Follow) -> Screen<Snapshot> {
    let view = stuck::choose(stuck::StuckOptions {
        format: Format::json_if(show.json),
        limit: show.limit,
        all: show.all,
        arguments,
        explain: show.explain,
    });
    Screen::new(view, follow)
}

/// Whether the group exists that is to be explained in text, where the answer is the only one.
///
/// # Errors
/// Names the number and how many groups there are.
pub fn check_explained(show: &StuckShow, snapshot: &Snapshot) -> Result<(), UsageError> {
    match (show.explain, stuck::explained::count(snapshot)) {
        (Some(Explain::Group(number)), groups) if number > groups && !show.json => {
            Err(UsageError::Value {
                option: "explain",
                value: number.to_string(),
                reason: stuck::explained::missing(number, groups),
                more: Vec::new(),
                advice: Some("--explain".into()),
            })
        }
        _ => Ok(()),
    }
}

/// The screen for numbers by state; a `live` session is redrawn in place if possible.
pub fn of_states(request: &StatesRequest, follow: Follow) -> Screen<states::report::Report> {
    let view = view::states::choose(view::states::StatesOptions {
        format: Format::json_if(request.json),
        top: request.top,
        filters: request.filters.to_string(),
        live: follow == Follow::InPlace,
    });
    Screen::new(view, follow)
}

/// The screen for reports of durations.
pub fn of_hist(show: &HistShow) -> Screen<Report> {
    Screen::new(hist_view(show), Follow::Below)
}

/// The same, redrawn in place; `None` where that is not possible: in a pipe, and for programs.
pub fn redrawn_hist(show: &HistShow) -> Option<Screen<Report>> {
    Some(Screen::new(hist_view(show), Follow::InPlace)).filter(Screen::is_redrawn)
}

fn hist_view(show: &HistShow) -> Box<dyn View<Report>> {
    hist::choose(hist::HistOptions {
        format: Format::json_if(show.json),
        top: show.top,
        filters: show.filters.to_string(),
    })
}

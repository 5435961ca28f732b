//! The screens that requests ask for.

use crate::{
    model::{
        hist::report::Report,
        request::{HistShow, StuckShow},
        stuck::snapshot::Snapshot,
    },
    sink::screen::Screen,
    view::{Format, hist, stuck},
};

/// For snapshots; a `live` session is redrawn in place where that can be done.
pub fn of_stuck(show: &StuckShow, live: bool) -> Screen<Snapshot> {
    let view = stuck::choose(stuck::StuckOptions {
        format: Format::json_if(show.json),
        limit: show.limit,
        all: show.all,
    });
    Screen::new(view, live)
}

/// For reports of durations.
pub fn of_hist(show: &HistShow) -> Screen<Report> {
    let view = hist::choose(hist::HistOptions {
        format: Format::json_if(show.json),
        top: show.top,
        ascii: show.ascii,
    });
    Screen::new(view, false)
}

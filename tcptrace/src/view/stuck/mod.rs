//! Views of stuck sockets.

mod held_by;
mod json;
mod text;

use std::{io, time::Duration};

use crate::model::{
    request::StuckShow,
    stuck::{
        session::Session,
        snapshot::{Snapshot, Watched},
    },
};

/// Shows what a session finds.
pub trait View {
    /// Shows one look's result.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()>;

    /// Shows what is to be said at the end.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn summary(&mut self, session: &Session, watched: &Watched, length: Duration)
    -> io::Result<()>;
}

/// The view that is asked for, of a live session or of one snapshot.
#[must_use]
pub fn choose(show: &StuckShow, live: bool) -> Box<dyn View> {
    if show.json {
        Box::new(json::Json::new(show.limit))
    } else {
        let limit = match show.limit {
            _ if show.all => text::Limit::None,
            Some(limit) => text::Limit::Rows(limit),
            None => text::Limit::Screen,
        };
        Box::new(text::Text::new(limit, live))
    }
}

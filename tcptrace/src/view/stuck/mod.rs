//! Views of stuck sockets.

mod held_by;
mod json;
mod text;

use std::{io, time::Duration};

use crate::{
    cli::Show,
    model::stuck::{
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

/// The view that the command line asks for, of a live session or of one snapshot.
#[must_use]
pub fn choose(arguments: &Show, live: bool) -> Box<dyn View> {
    if arguments.json {
        Box::new(json::Json::new(arguments.limit))
    } else {
        let limit = match arguments.limit {
            _ if arguments.all => text::Limit::None,
            Some(limit) => text::Limit::Rows(limit),
            None => text::Limit::Screen,
        };
        Box::new(text::Text::new(limit, live))
    }
}

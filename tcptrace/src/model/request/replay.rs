//! Requests about a recording.

use std::path::PathBuf;

use crate::model::request::{HistShow, LogShow, StuckShow};

/// Options of `tcptrace replay`.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// The recording; `-` for standard input.
    pub file: PathBuf,
    /// What to show of it.
    pub view: ReplayView,
}

/// What to show of a recording.
#[derive(Debug, Clone)]
pub enum ReplayView {
    /// Sockets that were stuck when it ended.
    Stuck(StuckShow),
    /// Its transitions.
    Log(LogShow),
    /// How long sockets stayed in each state.
    Hist(HistShow),
}

//! What to show, live or of a recording.

use std::time::Duration;

use tcptrace_common::TcpState;

use crate::model::{
    hist::durations::Selection,
    request::{Filters, LogFilters},
};

/// What to show of stuck sockets.
#[derive(Debug, Clone)]
pub struct StuckShow {
    /// The state to watch.
    pub state: TcpState,
    /// How long a socket must have been in it.
    pub older_than: Duration,
    /// Which sockets.
    pub filters: Filters,
    /// Whether to write JSON.
    pub json: bool,
    /// How many sockets to show at most; `None` for what is usual for the output.
    pub limit: Option<usize>,
    /// Whether to show all sockets.
    pub all: bool,
}

/// What to show of transitions.
#[derive(Debug, Clone)]
pub struct LogShow {
    /// Which.
    pub filters: LogFilters,
    /// Whether to write JSON.
    pub json: bool,
}

/// What to show of durations.
#[derive(Debug, Clone)]
pub struct HistShow {
    /// What to count.
    pub selection: Selection,
    /// Which sockets.
    pub filters: Filters,
    /// Whether quantiles and the longest also count what has not ended, as if it did now.
    pub include_open: bool,
    /// How many keys of each state to show at most; `None` for what is usual for the output.
    pub top: Option<usize>,
    /// Whether to write JSON.
    pub json: bool,
    /// Whether to draw with plain ASCII.
    pub ascii: bool,
}

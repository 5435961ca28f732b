//! What to show, live or from a recording.

use std::time::Duration;

use tcptrace_common::TcpState;

use crate::model::{
    hist::durations::Selection,
    names::names,
    request::{Filters, LogFilters},
};

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// The largest group, and the oldest socket.
    #[default]
    Sockets,
    /// The group with the oldest socket, and the oldest socket.
    Age,
    /// The group and the socket with the most unread bytes.
    RecvQ,
}

names!(Sort {
    Sockets => "sockets",
    Age => "age",
    RecvQ => "recv-q",
});

/// Which groups to explain at length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// All.
    All,
    /// The one with this number in the table of groups, from 1.
    Group(usize),
}

/// What to show about stuck sockets.
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
    /// The maximum number of sockets to show; `None` for the default of the output.
    pub limit: Option<usize>,
    /// Whether to show all sockets.
    pub all: bool,
    /// What comes first.
    pub sort: Sort,
    /// How many sockets may be listed before that counts as a failure; `None` for any number.
    pub fail_over: Option<usize>,
    /// Whether nothing is shown.
    pub quiet: bool,
    /// Whether text explains groups instead of listing sockets.
    pub explain: Option<Explain>,
}

/// What to show about transitions.
#[derive(Debug, Clone)]
pub struct LogShow {
    /// Which.
    pub filters: LogFilters,
    /// Whether to write JSON.
    pub json: bool,
    /// Whether text on a terminal lists each socket that is still open at the end.
    pub all: bool,
}

/// What to show about durations.
#[derive(Debug, Clone)]
pub struct HistShow {
    /// What to count.
    pub selection: Selection,
    /// Which sockets.
    pub filters: Filters,
    /// Whether quantiles and the maximum include durations that have not ended, as if they ended
    /// now.
    pub include_open: bool,
    /// The maximum number of keys per state to show; `None` for the default of the output.
    pub top: Option<usize>,
    /// Whether to write JSON.
    pub json: bool,
}

//! What the user asks for, as plain data: a request for each command, and what several share.

mod filters;
mod live;
mod replay;
mod show;
mod usage;

pub use filters::{Filters, LogFilters, Netns};
pub use live::{
    AcceptChoice, DoctorRequest, HistRequest, HookChoice, LogRequest, Rotation, StuckRequest,
};
pub use replay::{ReplayRequest, ReplayView};
pub use show::{HistShow, LogShow, StuckShow};
pub use usage::UsageError;

/// What to do.
#[derive(Debug, Clone)]
pub enum Request {
    /// `tcptrace stuck`.
    Stuck(StuckRequest),
    /// `tcptrace log`.
    Log(LogRequest),
    /// `tcptrace hist`.
    Hist(HistRequest),
    /// `tcptrace replay`.
    Replay(ReplayRequest),
    /// `tcptrace doctor`.
    Doctor(DoctorRequest),
}

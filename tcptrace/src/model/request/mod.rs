//! The user's request as plain data: one type for each command, and shared parts.

mod filters;
mod live;
mod replay;
mod show;
mod usage;

pub use filters::{Filters, LogFilters, Netns};
pub use live::{
    AcceptChoice, DoctorRequest, HistRequest, HookChoice, LogRequest, Rotation, StatesRequest,
    StuckRequest, WalkChoice,
};
pub use replay::{ReplayRequest, ReplayView};
pub use show::{Explain, HistShow, LogShow, Sort, StuckShow};
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
    /// `tcptrace states`.
    States(StatesRequest),
    /// `tcptrace replay`.
    Replay(ReplayRequest),
    /// `tcptrace doctor`.
    Doctor(DoctorRequest),
}

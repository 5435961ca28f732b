//! The kernel side of `log` and `hist`: the running machine as a source of transitions.

mod accept;
mod attach;
pub(crate) mod convert;
mod follow;
pub mod histograms;
pub(crate) mod names;
mod options;
mod session;
mod side;

pub use accept::Accept;
pub use attach::accept_works;

pub use options::LogOptions;
pub use session::{Batch, LiveTrack};
pub use side::LogSide;

//! The kernel side of `log` and `hist`: the running machine as a source of transitions.

mod accept;
mod attach;
mod before;
mod convert;
#[cfg(test)]
mod convert_tests;
mod follow;
pub mod histograms;
mod names;
mod open;
mod options;
mod session;
mod side;

pub use accept::Accept;
pub use attach::accept_works;

pub use names::{name, some};
pub use options::LogOptions;
pub use session::LiveLog;
pub use side::LogSide;

//! The kernel side of `log` and `hist`: the running machine as a source of transitions.

mod before;
mod convert;
#[cfg(test)]
mod convert_tests;
pub mod histograms;
mod kernel_side;
mod names;
mod open;
mod session;

pub use kernel_side::{TrackOptions, accept_works};
pub use names::{name, some};
pub use session::LiveTransitions;

//! The kernel side of `log` and `hist`: the running machine as a source of transitions.

pub(crate) mod convert;
mod groups;
pub mod histograms;
mod kernel_side;
pub(crate) mod processes;
mod session;

pub use kernel_side::{KernelSide, TrackOptions, accept_works};
pub use session::{Batch, LiveTransitions};

//! The kernel side of `stuck`, and the looks that it produces.

mod convert;
mod exits;
pub mod kernel_side;
pub mod look;
pub mod options;

pub use options::WatchOptions;

//! The kernel side of `stuck`, and the looks that it gives.

pub mod look;
pub mod side;

//! What this machine allows.

pub mod examine;

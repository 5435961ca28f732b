//! What this machine allows.

pub mod examine;
mod machine;
mod programs;

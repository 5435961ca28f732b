//! What `hist` counts and shows.

pub mod durations;
pub mod histogram;
pub mod key;
pub mod report;

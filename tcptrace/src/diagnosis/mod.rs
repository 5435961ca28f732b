//! Pure rules, from facts to what is shown: no file is opened here and no clock is read.

pub mod hist;
pub mod log;
pub mod recording;
pub mod stuck;

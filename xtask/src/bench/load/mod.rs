//! The load on the machine while something is measured.

pub mod crowd;
pub mod track;

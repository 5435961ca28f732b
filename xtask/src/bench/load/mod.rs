//! The load on the machine while something is measured.

pub mod crowd;
pub mod namespaces;
mod sockstat;
pub mod track;

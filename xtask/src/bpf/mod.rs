//! Building the BPF object.
//!
//! The object is committed, so every build must give the same bytes: see [`build`] for how.

pub mod build;
mod byte_loops;
pub mod digest;
pub mod flags;
pub mod strip;

/// The package of the kernel side.
pub const PACKAGE: &str = "tcptrace-ebpf";

/// Rust's name for little-endian BPF.
pub const TARGET: &str = "bpfel-unknown-none";

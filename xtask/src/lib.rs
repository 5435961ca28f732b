//! What a developer of tcptrace runs. `cargo xtask --help` lists it.
//!
//! A library, so that tests and other tools can use the parts; the command is `main.rs`.

pub mod apt;
pub mod bench;
pub mod bpf;
pub mod cache;
pub mod cargo;
pub mod commands;
pub mod demo;
pub mod interrupt;
pub mod process;
pub mod rerun;
pub mod root;
pub mod toolchain;
pub mod vm;
pub mod workspace;

//! The tasks of a developer of tcptrace. `cargo xtask --help` lists them.
//!
//! A library, so that tests and other tools can use the parts; the command is `main.rs`.

pub mod apt;
pub mod bench;
pub mod bpf;
pub mod cache;
pub mod cargo;
pub mod commands;
pub mod corpus;
pub mod demo;
pub mod interrupt;
pub mod process;
pub mod rerun;
pub mod root;
pub mod toolchain;
pub mod vm;
pub mod workspace;

//! The subcommands, one file each: arguments, then what to do.

pub mod bench;
pub mod demo;
pub mod ebpf;
pub mod run;
pub mod test;
pub mod vm;

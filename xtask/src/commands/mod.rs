//! The subcommands, one file each: the arguments, then the action.

pub mod bench;
pub mod corpus;
pub mod demo;
pub mod ebpf;
pub mod run;
pub mod test;
pub mod vm;

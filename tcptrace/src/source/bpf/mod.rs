//! What every kernel side needs: the object, its programs and maps, the kernel's type information.

pub mod attach;
#[cfg(test)]
mod attach_tests;
pub mod filter;
pub mod load;
pub mod mapping;
pub mod messages;
pub mod program;
pub mod read_map;
pub mod single;
pub mod socket;
pub mod syscall;
pub mod tracefs;
pub mod tracepoint_format;
pub mod types;

//! What every kernel side needs: the object, the kernel's type information, maps, messages.

pub mod btf;
#[cfg(test)]
mod btf_tests;
pub mod filter;
pub mod load;
pub mod messages;
pub mod offsets;
pub mod read_map;
pub mod socket;
pub mod tracefs;
pub mod tracepoint_format;

//! The only place that knows BPF, netlink and `/proc`: everything here ends in a
//! [`Look`](crate::model::look::Look) or a [`Record`](crate::model::transition::Record).

pub mod ask;
pub mod btf;
#[cfg(test)]
mod btf_tests;
pub mod cgroup;
pub mod clock;
pub mod diag_wire;
pub mod error;
pub mod examine;
pub mod hist;
pub mod holder;
pub mod holder_iter;
pub mod holder_proc;
pub mod kernel;
pub mod kernel_log;
pub mod live;
pub mod load;
pub mod log;
pub mod log_wire;
#[cfg(test)]
mod log_wire_tests;
pub mod netns;
pub mod offsets;
pub mod privileges;
pub mod process;
pub mod recording;
#[cfg(test)]
mod recording_tests;
pub mod sock_diag;
pub mod tracefs;
pub mod tracepoint_format;
pub mod watch_map;
pub mod watched;

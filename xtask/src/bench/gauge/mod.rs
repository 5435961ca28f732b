//! What is read: clocks and counters of the kernel, the machine itself, and the statistics of the values.

pub mod bpf_runs;
pub mod cpu_time;
pub mod machine;
pub mod memory;
pub mod quiet;
pub mod stats;

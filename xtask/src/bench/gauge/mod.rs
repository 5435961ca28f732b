//! What is read off: clocks and counters of the kernel, the machine itself, and the statistics of what was read.

pub mod bpf_runs;
pub mod cpu_time;
pub mod machine;
pub mod quiet;
pub mod stats;

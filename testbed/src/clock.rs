//! The clock that truths are told in, and how patient to be.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds, the clock of the kernel's `bpf_ktime_get_ns`.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at boot: it is never negative and its nanoseconds fit for 584 years.
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// How many times slower than a real machine this one is (`TCPTRACE_TEST_SLOWNESS`, 1 unless set).
///
/// Under an emulator everything takes several times as long; limits that are there to end a hang, not to measure
/// something, are multiplied by it.
pub fn slowness() -> u32 {
    let told = std::env::var("TCPTRACE_TEST_SLOWNESS")
        .ok()
        .and_then(|text| text.parse().ok());
    told.unwrap_or(1).max(1)
}

/// How long to wait for something that should take no time before calling it a failure.
pub fn patience() -> Duration {
    Duration::from_secs(10) * slowness()
}

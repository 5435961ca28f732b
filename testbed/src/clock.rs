//! The clock of all recorded times, and time limits.

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
/// Under an emulator everything takes several times as long. Limits that only end a hang, and do not measure anything,
/// are multiplied by this factor.
pub fn slowness() -> u32 {
    let told = std::env::var("TCPTRACE_TEST_SLOWNESS")
        .ok()
        .and_then(|text| text.parse().ok());
    told.unwrap_or(1).max(1)
}

/// How long to wait for something that should be immediate before it counts as a failure.
pub fn patience() -> Duration {
    Duration::from_secs(10) * slowness()
}

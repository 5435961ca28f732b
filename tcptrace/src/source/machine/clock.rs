//! The kernel's clocks.

use rustix::time::{ClockId, clock_getres, clock_gettime};

/// By how many ticks the kernel's number of ticks since a moment may be too small: the current one has
/// begun before now, and on a busy or virtual machine the clock stands up to five ticks behind
/// (`MAX_STALLED_JIFFIES` of `kernel/time/tick-sched.c`); one to spare.
pub const LATE_TICKS: u64 = 7;

/// Now, in ns of `CLOCK_MONOTONIC`, which `bpf_ktime_get_ns` reads too.
#[must_use]
pub fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The length of a jiffy in ns: the coarse clocks advance one jiffy at a time.
#[must_use]
pub fn tick_ns() -> u64 {
    nanoseconds(clock_getres(ClockId::MonotonicCoarse))
}

#[allow(clippy::cast_sign_loss)] // this clock is never negative
fn nanoseconds(time: rustix::time::Timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

//! The kernel's clocks, also in a time namespace.

use rustix::{
    param::clock_ticks_per_second,
    time::{ClockId, clock_getres, clock_gettime},
};

use crate::source::machine::time_namespace::{Offsets, offsets};

/// By how many ticks the kernel's number of ticks since a moment may be too small: the current one has
/// begun before now, and on a busy or virtual machine the clock stands up to five ticks behind
/// (`MAX_STALLED_JIFFIES` of `kernel/time/tick-sched.c`); one to spare.
pub const LATE_TICKS: u64 = 7;

/// Now, in ns of the kernel's `CLOCK_MONOTONIC`, which `bpf_ktime_get_ns` reads too.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let here_ns = nanoseconds(clock_gettime(ClockId::Monotonic));
    here_ns.saturating_add_signed(-shift().monotonic_ns)
}

/// The length of a jiffy in ns: the coarse clocks advance one jiffy at a time.
#[must_use]
pub fn tick_ns() -> u64 {
    nanoseconds(clock_getres(ClockId::MonotonicCoarse))
}

/// The clock ticks (`_SC_CLK_TCK`) after boot at which a process started, from those that
/// `/proc/PID/stat` says in this time namespace.
#[must_use]
pub fn after_boot(starttime: u64) -> u64 {
    match shift().boottime_ns {
        0 => starttime,
        ahead_ns => unshifted(
            starttime,
            ahead_ns,
            1_000_000_000 / clock_ticks_per_second(),
        ),
    }
}

/// The moment in ns of `CLOCK_MONOTONIC` of so many clock ticks after boot: too early by what the machine has slept
/// since.
#[must_use]
pub fn awake_ns(ticks_after_boot: u64) -> u64 {
    let here = |clock| nanoseconds(clock_gettime(clock));
    let booted_ns = here(ClockId::Boottime).saturating_add_signed(-shift().boottime_ns);
    let asleep_ns = booted_ns.saturating_sub(monotonic_ns());
    let tick_ns = 1_000_000_000 / clock_ticks_per_second();
    (ticks_after_boot.saturating_mul(tick_ns)).saturating_sub(asleep_ns)
}

/// The kernel adds the offset to a number without sign (`timens_add_boottime_ns`): where that is negative,
/// ticks begin to count at 2^64 ns.
#[allow(clippy::cast_sign_loss)] // it is not negative then
fn unshifted(starttime: u64, ahead_ns: i64, tick_ns: u64) -> u64 {
    let here_ns = starttime.wrapping_mul(tick_ns).cast_signed();
    (here_ns.saturating_sub(ahead_ns).max(0) as u64) / tick_ns
}

/// Commands do not start where it is unknown.
fn shift() -> Offsets {
    offsets()
        .as_ref()
        .ok()
        .copied()
        .flatten()
        .unwrap_or_default()
}

#[allow(clippy::cast_sign_loss)] // this clock is never negative
fn nanoseconds(time: rustix::time::Timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::unshifted;

    #[test]
    fn a_start_is_the_kernels_whatever_the_namespace_adds() {
        const TICK_NS: u64 = 10_000_000;
        /// `timens_add_boottime_ns` and `nsec_to_clock_t`.
        fn shown(started_ns: u64, ahead_ns: i64) -> u64 {
            started_ns.wrapping_add_signed(ahead_ns) / TICK_NS
        }
        for started_ns in [0, 5_000_000, 120_000_000, 3_600_000_000_000] {
            for ahead_ns in [
                1,
                -1,
                100_000_000_000_000,
                -7_200_000_000_000,
                -3_600_000_000_000,
            ] {
                let found = unshifted(shown(started_ns, ahead_ns), ahead_ns, TICK_NS);
                let off = found.abs_diff(started_ns / TICK_NS);
                assert!(off <= 1, "{started_ns} {ahead_ns}: {found}");
            }
        }
    }
}

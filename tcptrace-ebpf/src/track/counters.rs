//! Counters other than durations, which user space reads.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use tcptrace_common::TrackCounters;

/// One entry.
#[map]
static TRACK_COUNTERS: PerCpuArray<TrackCounters> = PerCpuArray::with_max_entries(1, 0);

/// Counts on this CPU.
#[inline(always)]
pub fn count(change: impl FnOnce(&mut TrackCounters)) {
    if let Some(counters) = TRACK_COUNTERS.get_ptr_mut(0) {
        // SAFETY: this CPU's own copy. If a program interrupts another one, at most one count is
        // lost.
        change(unsafe { &mut *counters });
    }
}

/// Counts a socket that did not fit, and keeps its address.
#[inline(always)]
pub fn count_untracked(sock: *const u8) {
    count(|counters| {
        let place = counters.untracked as usize % TrackCounters::UNTRACKED_SOCKS;
        counters.untracked_socks[place] = sock as u64;
        counters.untracked += 1;
    });
}

/// Whether the socket is among the last that did not fit on this CPU.
#[inline(always)]
pub fn was_untracked(sock: *const u8) -> bool {
    let mut found = false;
    count(|counters| found = counters.untracked_socks.contains(&(sock as u64)));
    found
}

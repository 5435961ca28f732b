//! Reporting sockets that leave the watched state.

use core::ptr::copy_nonoverlapping;

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::bpf_ktime_get_ns, macros::map, maps::RingBuf};
use tcptrace_common::{WatchedExit, WatchedSocket};

use super::count;

/// Sockets that left, on their way to the next look. Nobody waits for them, so nobody is woken.
#[map]
static EXITS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Reports a socket that leaves now. Most are in the state for a moment only, and not reported.
#[inline(always)]
pub fn report(socket: &WatchedSocket) {
    // SAFETY: the helper takes nothing and only reads the clock.
    let left_ns = unsafe { bpf_ktime_get_ns() };
    if left_ns.wrapping_sub(socket.since_ns) < WatchedExit::AT_LEAST_NS {
        return;
    }
    let Some(mut entry) = EXITS.reserve::<WatchedExit>(0) else {
        count(|counters| counters.unreported += 1);
        return;
    };
    let exit = entry.as_mut_ptr();
    // SAFETY: the reserved memory has the record's size and alignment, and belongs to this program until it is
    // submitted; both fields are written.
    unsafe {
        copy_nonoverlapping(socket, &raw mut (*exit).socket, 1);
        (*exit).left_ns = left_ns;
    }
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

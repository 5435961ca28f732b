//! Which sockets a walk reports, and how it writes a record.

use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use tcptrace_common::{HolderRecord, IPPROTO_MPTCP, IPPROTO_TCP, TcpState};

use crate::settings::setting;

/// Whether a socket is reported because of its state alone.
#[inline(always)]
pub fn of_interest(state: u8) -> bool {
    u32::from(state) == setting!(watched_state) || state == TcpState::Listen.number()
}

/// Whether a socket with this state and protocol is reported.
#[inline(always)]
pub fn is_told(state: u8, protocol: u16) -> bool {
    protocol == IPPROTO_MPTCP || (of_interest(state) && protocol == IPPROTO_TCP)
}

/// A name as it is in memory.
#[inline(always)]
pub fn bytes(words: [u64; 2]) -> [u8; 16] {
    // SAFETY: both are 16 bytes of plain data.
    unsafe { core::mem::transmute(words) }
}

/// Writes the record; returns whether it fitted. If not, the kernel discards what this call wrote
/// and calls again for the same object.
#[inline(always)]
pub fn write(seq: *mut seq_file, record: &HolderRecord) -> bool {
    // SAFETY: the record is plain data of exactly this size.
    let result = unsafe {
        bpf_seq_write(
            seq,
            core::ptr::from_ref(record).cast(),
            size_of::<HolderRecord>() as u32,
        )
    };
    result == 0
}

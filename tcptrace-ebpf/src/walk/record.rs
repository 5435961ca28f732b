//! Which sockets a walk tells of, and how it writes a record.

use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use tcptrace_common::{HolderRecord, IPPROTO_MPTCP, IPPROTO_TCP, TcpState};

use crate::settings::setting;

/// Whether the state alone makes a socket one to tell of.
#[inline(always)]
pub fn of_interest(state: u8) -> bool {
    u32::from(state) == setting!(watched_state) || state == TcpState::Listen.number()
}

/// Whether a socket in that state and of that protocol is told of.
#[inline(always)]
pub fn is_told(state: u8, protocol: u16) -> bool {
    protocol == IPPROTO_MPTCP || (of_interest(state) && protocol == IPPROTO_TCP)
}

/// A name as it lies in memory.
#[inline(always)]
pub fn bytes(words: [u64; 2]) -> [u8; 16] {
    // SAFETY: both are 16 bytes of plain data.
    unsafe { core::mem::transmute(words) }
}

/// Whether the record fitted. When it did not, the kernel takes back what this call wrote and calls
/// again for the same object.
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

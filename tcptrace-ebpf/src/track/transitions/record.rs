//! Sending transitions to user space.

use core::ptr::{copy_nonoverlapping, write_volatile};

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    macros::map,
    maps::RingBuf,
};
use tcptrace_common::{OwnerRecord, TransitionRecord, UsedTransitionRecord, WatchedSocket};

use super::super::counters::count;
use crate::settings::setting;

/// How many records a CPU writes before it checks how many wait: the check reads memory that all
/// CPUs and the reader write to.
const ASK_EVERY: u64 = 64;

/// Records on their way to the reader.
#[map]
static TRANSITIONS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// The content of a record: [`TransitionRecord`] without copies.
pub struct Contents<'a> {
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    pub socket: &'a WatchedSocket,
    /// When it entered the state that it left, likewise, or 0.
    pub since_ns: u64,
    pub from: u8,
    pub to: u8,
    /// As [`TransitionRecord::flags`].
    pub flags: u16,
    /// `IPPROTO_TCP` or `IPPROTO_MPTCP`.
    pub protocol: u16,
    /// `None` if unknown.
    pub owner: Option<&'a OwnerRecord>,
    /// The process that uses it in the owner's place.
    pub user: Option<&'a OwnerRecord>,
    /// The process whose system call caused it, if one did.
    pub caller: Option<&'a OwnerRecord>,
}

/// Clears it word by word: for an assignment the compiler would call a loop over bytes.
#[inline(always)]
unsafe fn clear(owner: *mut OwnerRecord) {
    const WORDS: usize = size_of::<OwnerRecord>() / 8;
    let words = owner.cast::<u64>();
    let mut index = 0;
    while index < WORDS {
        // SAFETY: the caller passes a valid one, and it is this many words long.
        unsafe { write_volatile(words.add(index), 0) };
        index += 1;
    }
}

/// Writes a record. The reader is not woken for each one: it polls, and is woken when many bytes
/// wait.
#[inline(always)]
pub fn write(contents: &Contents<'_>) {
    if let Some(user) = contents.user {
        let Some(mut entry) = TRANSITIONS.reserve::<UsedTransitionRecord>(0) else {
            count(|counters| counters.lost += 1);
            return;
        };
        let record = entry.as_mut_ptr();
        // SAFETY: as in `fill_in`. An assignment would call a loop over bytes.
        unsafe { copy_nonoverlapping(user, &raw mut (*record).user, 1) };
        fill_in(record.cast(), contents);
        entry.submit(wake_up());
        return;
    }
    let Some(mut entry) = TRANSITIONS.reserve::<TransitionRecord>(0) else {
        count(|counters| counters.lost += 1);
        return;
    };
    fill_in(entry.as_mut_ptr(), contents);
    entry.submit(wake_up());
}

#[inline(always)]
fn fill_in(record: *mut TransitionRecord, contents: &Contents<'_>) {
    // SAFETY: the reserved memory has the record's size and alignment, and belongs to this program
    // until it is submitted; every field is written.
    unsafe {
        (*record).time_ns = contents.time_ns;
        (*record).socket = *contents.socket;
        (*record).socket.since_ns = contents.since_ns;
        (*record).from = contents.from;
        (*record).to = contents.to;
        (*record).flags = contents.flags;
        (*record).protocol = contents.protocol;
        (*record).reserved = 0;
        match contents.owner {
            // The compiler cannot exclude an overlap in an assignment, and would call a loop over
            // bytes.
            Some(owner) => copy_nonoverlapping(owner, &raw mut (*record).owner, 1),
            None => clear(&raw mut (*record).owner),
        }
        if let Some(caller) = contents.caller {
            ((*record).caller_pid, (*record).caller_tid) = (caller.pid, caller.tid);
            // Not as a whole, for the same reason.
            (*record).caller_comm[0] = caller.comm[0];
            (*record).caller_comm[1] = caller.comm[1];
        } else {
            write_volatile(&raw mut (*record).caller_pid, 0);
            write_volatile(&raw mut (*record).caller_tid, 0);
            write_volatile(&raw mut (*record).caller_comm[0], 0);
            write_volatile(&raw mut (*record).caller_comm[1], 0);
        }
    }
}

/// Counts a record that has been written; returns how the reader is to be told.
#[inline(always)]
fn wake_up() -> u64 {
    let mut asks = false;
    count(|counters| {
        counters.written += 1;
        asks = counters.written % ASK_EVERY == 0;
    });
    let much = |waiting| waiting >= setting!(track.wake_bytes);
    let wakes = if asks && much(TRANSITIONS.query(BPF_RB_AVAIL_DATA.into())) {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    wakes.into()
}

//! What a walk writes: maps that the user side has in its memory.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, macros::map, maps::Array};
use tcptrace_common::{BriefRecord, MessageStep, QueueStep, SharedSocket, SocketRecord, WalkState};

use crate::settings::setting;

/// The progress of the walk.
#[map]
static WALK: Array<WalkState> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry for each descriptor of a socket of interest.
#[map]
static RECORDS: Array<SocketRecord> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The same where sockets are only counted.
#[map]
static BRIEF: Array<BriefRecord> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Sockets that may be met again.
#[map]
static SHARED: Array<SharedSocket> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One step along an accept queue.
#[map]
static QUEUE: Array<QueueStep> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One step along the messages of a Unix socket.
#[map]
static MESSAGE: Array<MessageStep> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The progress of the walk.
#[inline(always)]
pub fn state() -> Option<&'static mut WalkState> {
    // SAFETY: one reader at a time runs a walk, and user space only reads meanwhile.
    WALK.get_ptr_mut(0).map(|state| unsafe { &mut *state })
}

/// The next free record. One that does not fit is counted all the same.
#[inline(always)]
pub fn next_record(state: &mut WalkState) -> Option<*mut SocketRecord> {
    let index = state.records;
    state.records = index.wrapping_add(1);
    if index < setting!(max_records) {
        RECORDS.get_ptr_mut(index)
    } else {
        None
    }
}

/// The same where sockets are only counted.
#[inline(always)]
pub fn next_brief(state: &mut WalkState) -> Option<*mut BriefRecord> {
    let index = state.records;
    state.records = index.wrapping_add(1);
    if index < setting!(max_records) {
        BRIEF.get_ptr_mut(index)
    } else {
        None
    }
}

/// Remembers a socket that may be met again; likewise.
#[inline(always)]
pub fn share(state: &mut WalkState, socket: SharedSocket) {
    let index = state.shared;
    state.shared = index.wrapping_add(1);
    if index < setting!(max_shared)
        && let Some(place) = SHARED.get_ptr_mut(index)
    {
        // SAFETY: the entry is in the map.
        unsafe { place.write(socket) };
    }
}

/// The step along an accept queue.
#[inline(always)]
pub fn queue_step() -> Option<*mut QueueStep> {
    QUEUE.get_ptr_mut(0)
}

/// The step along the messages of a Unix socket.
#[inline(always)]
pub fn message_step() -> Option<*mut MessageStep> {
    MESSAGE.get_ptr_mut(0)
}

//! Sockets by the address of their `struct sock`, from their first transition until the kernel
//! destroys them: a socket may be used again after CLOSE.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use tcptrace_common::{LogCounters, TrackedSocket};

pub type Table = HashMap<u64, TrackedSocket>;

#[map]
static TRACKED: Table = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// The same with all of its memory taken at the start: up to 6.0 the kernel warns (once, in its
/// log) about a program on a classic tracepoint with any other kind.
#[map]
static TRACKED_PREALLOCATED: Table = HashMap::with_max_entries(1, 0);

#[map]
static LOG_COUNTERS: PerCpuArray<LogCounters> = PerCpuArray::with_max_entries(1, 0);

/// What an entry begins as. It would take half of a program's stack.
// SAFETY: all zeros is a value of these integers.
static EMPTY: TrackedSocket = unsafe { core::mem::zeroed() };

/// `-EEXIST` of `include/uapi/asm-generic/errno-base.h`.
const EEXIST: i32 = -17;

/// The table that grows.
#[inline(always)]
pub fn growing() -> &'static Table {
    &TRACKED
}

/// The table for classic tracepoints.
#[inline(always)]
pub fn preallocated() -> &'static Table {
    &TRACKED_PREALLOCATED
}

/// The table in use, for programs that may have either.
macro_rules! table {
    () => {
        if $crate::settings::setting!(log.preallocated) != 0 {
            $crate::track::table::preallocated()
        } else {
            $crate::track::table::growing()
        }
    };
}
pub(super) use table;

/// An empty entry in place of whatever was there. It is counted when there is no room.
#[inline(always)]
pub fn fresh(table: &Table, sock: *const u8) -> Option<&'static mut TrackedSocket> {
    // By reference, for a copy would be on the stack.
    let empty: &TrackedSocket = &EMPTY;
    if table.insert(sock as u64, empty, BPF_ANY.into()).is_err() {
        count_unkept(sock);
        return None;
    }
    get(table, sock)
}

#[inline(always)]
fn count_unkept(sock: *const u8) {
    count(|counters| {
        let place = counters.unkept as usize % LogCounters::UNKEPT_SOCKS;
        counters.unkept_socks[place] = sock as u64;
        counters.unkept += 1;
    });
}

/// Whether it is among the last that found no room on this CPU.
#[inline(always)]
pub fn was_unkept(sock: *const u8) -> bool {
    let mut found = false;
    count(|counters| found = counters.unkept_socks.contains(&(sock as u64)));
    found
}

/// Adds an empty entry unless there is one; `None` when there is, or no room, which is counted.
#[inline(always)]
pub fn add(table: &Table, sock: *const u8) -> Option<&'static mut TrackedSocket> {
    let empty: &TrackedSocket = &EMPTY;
    match table.insert(sock as u64, empty, BPF_NOEXIST.into()) {
        Ok(()) => get(table, sock),
        Err(EEXIST) => None,
        Err(_) => {
            count_unkept(sock);
            None
        }
    }
}

/// The entry of a socket.
#[inline(always)]
pub fn get(table: &Table, sock: *const u8) -> Option<&'static mut TrackedSocket> {
    let entry = table.get_ptr_mut(sock as u64)?;
    // SAFETY: the entry stays in place until the socket is destroyed, which is not while one of its
    // transitions runs; what an accepting process writes meanwhile is read in the order in which it
    // is written.
    Some(unsafe { &mut *entry })
}

/// Counts on this CPU.
#[inline(always)]
pub fn count(change: impl FnOnce(&mut LogCounters)) {
    if let Some(counters) = LOG_COUNTERS.get_ptr_mut(0) {
        // SAFETY: this CPU's own copy. A program that interrupts another may make one count too
        // few, never wrong by more.
        change(unsafe { &mut *counters });
    }
}

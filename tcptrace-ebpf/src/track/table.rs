//! Sockets by the address of their `struct sock`, from their first transition until the kernel
//! destroys them: a socket may be reused after CLOSE.

use core::ptr::write_volatile;

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{Array, HashMap},
};
use tcptrace_common::{OwnerRecord, Passes, TrackedSocket};

use super::{
    counters::count_untracked,
    read_sock::{RawSock, ReadSock, describe_ends},
};

/// Either of the two maps below.
pub type Table = HashMap<u64, TrackedSocket>;

/// The sockets that are followed.
#[map]
static TRACKED: Table = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// The same, preallocated: up to 6.0 the kernel warns (once, in its log) about a program on a
/// classic tracepoint with any other kind of map.
#[map]
static TRACKED_PREALLOCATED: Table = HashMap::with_max_entries(1, 0);

/// The initial value of an entry. On the stack it would take half of a program's stack.
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
        if $crate::settings::setting!(track.preallocated) != 0 {
            $crate::track::table::preallocated()
        } else {
            $crate::track::table::growing()
        }
    };
}
pub(super) use table;

/// Replaces the entry with an empty one. If there is no room, this is counted.
#[inline(always)]
pub fn insert(table: &Table, sock: *const u8) -> Option<&'static mut TrackedSocket> {
    // By reference, because a copy would be on the stack.
    let empty: &TrackedSocket = &EMPTY;
    if table.insert(sock as u64, empty, BPF_ANY.into()).is_err() {
        count_untracked(sock);
        return None;
    }
    get(table, sock)
}

/// Adds an empty entry; `None` if there already is one, or if there is no room, which is counted.
#[inline(always)]
pub fn add(table: &Table, sock: *const u8) -> Option<&'static mut TrackedSocket> {
    let empty: &TrackedSocket = &EMPTY;
    match table.insert(sock as u64, empty, BPF_NOEXIST.into()) {
        Ok(()) => get(table, sock),
        Err(EEXIST) => None,
        Err(_) => {
            count_untracked(sock);
            None
        }
    }
}

/// The entry of a socket.
#[inline(always)]
pub fn get(table: &Table, sock: *const u8) -> Option<&'static mut TrackedSocket> {
    let entry = table.get_ptr_mut(sock as u64)?;
    // SAFETY: the entry stays in place until the socket is destroyed, which does not happen during
    // one of its transitions; concurrent writes of an accepting process are read in the order in
    // which they are made.
    Some(unsafe { &mut *entry })
}

/// The socket's entry, unless it is that of an earlier socket in the same place.
#[inline(always)]
pub fn known(table: &Table, sock: &impl ReadSock) -> Option<&'static mut TrackedSocket> {
    let entry = get(table, sock.address())?;
    let cookie = sock.cookie();
    let other = entry.socket.cookie != 0 && cookie != 0 && entry.socket.cookie != cookie;
    if other { None } else { Some(entry) }
}

/// Fills in the entry of a socket that is already in its state.
#[inline(always)]
pub fn fill_in(entry: &mut TrackedSocket, sock: &RawSock) {
    sock.describe_place(&mut entry.socket);
    describe_ends(sock, &mut entry.socket);
    entry.state = sock.state().into();
    entry.flags = TrackedSocket::BEFORE;
    // SAFETY: the helper takes nothing and only reads the clock.
    entry.socket.since_ns = unsafe { bpf_ktime_get_ns() };
}

/// The number of the pass that goes on, and of the last complete one. The user side counts them.
#[map]
static PASSES: Array<Passes> = Array::with_max_entries(1, 0);

/// The passes over all descriptors.
#[inline(always)]
pub fn passes() -> Passes {
    PASSES.get(0).copied().unwrap_or_default()
}

/// The process that uses the socket in its owner's place.
#[inline(always)]
pub fn user(entry: &TrackedSocket) -> Option<&OwnerRecord> {
    if entry.holder_pass == 0 && entry.taken_over == 0 {
        return None;
    }
    entry.user(passes().last)
}

/// Records that `user` uses the socket in its owner's place; only for transitions.
#[inline(always)]
pub fn take_over(entry: &mut TrackedSocket, user: &OwnerRecord) {
    entry.taken_over_by(user, passes().last);
}

/// Makes `owner` the socket's owner. For a concurrent reader the change is atomic: volatile writes
/// stay in order.
#[inline(always)]
pub fn hand_over(entry: &mut TrackedSocket, owner: &OwnerRecord) {
    // SAFETY: a reference is valid for writes.
    unsafe {
        write_volatile(&mut entry.handed_over, 0);
        write_volatile(&mut entry.owners[1], *owner);
        write_volatile(&mut entry.taken_over, 0);
        write_volatile(&mut entry.key, 0);
        write_volatile(&mut entry.handed_over, 1);
    }
}

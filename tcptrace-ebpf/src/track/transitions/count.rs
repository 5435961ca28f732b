//! Durations counted in histograms, for `tcptrace hist`: the transitions do not reach user space.

use core::hint::black_box;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    cty::c_void,
    helpers::bpf_get_smp_processor_id,
    macros::map,
    maps::{HashMap, PerCpuArray, PerCpuHashMap},
    programs::RawTracePointContext,
};
use tcptrace_common::{
    BUCKETS_PER_DECADE, Bucket, COUNTING_PROGRAMS, Decade, DecadeKey, HistKey, OwnerRecord,
    TcpState, TrackCounters, TrackedSocket, WatchedSocket, unkeyed_index,
};

use super::{
    super::{counters, table},
    transition::Transition,
};
use crate::settings::setting;

/// A number for each key. These maps are preallocated, so that bursts find memory, and because
/// classic tracepoints allow nothing else up to 6.0.
#[map]
static KEYS: HashMap<HistKey, u32> = HashMap::with_max_entries(1, 0);

/// The counts of a key.
#[map]
static DECADES: PerCpuHashMap<DecadeKey, Decade> = PerCpuHashMap::with_max_entries(1, 0);

/// The counts of durations without a key, or whose key found no room: see `unkeyed_index`.
#[map]
static UNKEYED_DECADES: PerCpuArray<Decade> = PerCpuArray::with_max_entries(1, 0);

/// Memory in which each program builds a key: the stack has no room for one.
#[map]
static SCRATCH: PerCpuArray<HistKey> = PerCpuArray::with_max_entries(COUNTING_PROGRAMS, 0);

/// The initial value of a decade.
// SAFETY: all zeros is a value of these integers.
static EMPTY: Decade = unsafe { core::mem::zeroed() };

/// `-E2BIG` of `include/uapi/asm-generic/errno-base.h`.
const E2BIG: i32 = -7;

/// How many keys one program may number on one CPU.
const NUMBERS: u32 = 1 << 18;

/// Counts how long the socket, whose owner may be known, was in the state that it left: `ns`. A
/// separate function, because it is long and called from several places.
#[inline(never)]
pub fn count(entry: &mut TrackedSocket, left: &Transition, ns: u64, owner_known: bool) {
    let bucket = Bucket::of(ns);
    let decade = if setting!(hist.by) == 0 {
        unkeyed(left, bucket)
    } else {
        keyed(entry, left, owner_known, bucket).or_else(|| {
            counters::count(|counters| counters.unkeyed += 1);
            unkeyed(left, bucket)
        })
    };
    // One value that is compared and then used: otherwise the verifier sees two.
    let slot = black_box(usize::from(bucket.slot));
    if let Some(decade) = decade
        && slot < BUCKETS_PER_DECADE
    {
        decade.counts[slot] += 1;
        decade.sum_ns += ns;
        if ns > decade.max_ns {
            decade.max_ns = ns;
        }
        counters::count(|counters| counters.counted += 1);
    }
}

#[inline(always)]
fn unkeyed(left: &Transition, bucket: Bucket) -> Option<&'static mut Decade> {
    let index = unkeyed_index(left.program, left.from, left.ending, bucket.decade.into());
    let decade = UNKEYED_DECADES.get_ptr_mut(index)?;
    // SAFETY: this CPU's own copy, which no other program writes: see [`Transition::program`].
    Some(unsafe { &mut *decade })
}

#[inline(always)]
fn keyed(
    entry: &mut TrackedSocket,
    left: &Transition,
    owner_known: bool,
    bucket: Bucket,
) -> Option<&'static mut Decade> {
    let key = DecadeKey {
        key: known_number(entry, left, owner_known)?,
        state: left.from as u8,
        decade: bucket.decade,
        program: left.program as u8,
        ending: left.ending as u8,
    };
    let decade = match DECADES.get_ptr_mut(key) {
        Some(decade) => decade,
        None => {
            let empty: &Decade = &EMPTY;
            add(TrackCounters::NO_DECADES, || {
                DECADES.insert(key, empty, BPF_NOEXIST.into())
            });
            // Another CPU may have added it first.
            DECADES.get_ptr_mut(key)?
        }
    };
    // SAFETY: this CPU's own copy, which no other program writes; no decade is ever removed.
    Some(unsafe { &mut *decade })
}

/// The number of the socket's key, which is kept with the socket. It stays valid: where the owner
/// or the addresses change, the number is cleared, and the upper half shows when an accepting
/// process has become the owner, and whether another one uses it in the owner's place.
#[inline(always)]
fn known_number(entry: &mut TrackedSocket, left: &Transition, owner_known: bool) -> Option<u32> {
    let handed_over = entry.handed_over & 1;
    let user = table::user(entry);
    let valid = KNOWN
        | u64::from(handed_over) << 32
        | u64::from(owner_known) << 33
        | u64::from(user.is_some()) << 34;
    let known = entry.key;
    if known >> 32 == valid >> 32 {
        return Some(known as u32);
    }
    let owner = &entry.owners[handed_over as usize];
    let owner = if owner_known { Some(owner) } else { None };
    // SAFETY: this CPU's own copy, which no other program writes: see [`Transition::program`].
    let key = unsafe { &mut *SCRATCH.get_ptr_mut(left.program)? };
    fill_in_key(key, &entry.socket, (owner, user), left.from);
    let number = number(key, left.program)?;
    entry.key = valid | u64::from(number);
    Some(number)
}

/// In `TrackedSocket::key`: the lower half is a number.
const KNOWN: u64 = 1 << 63;

/// The key's number. A new key gets one if there is room.
#[inline(always)]
fn number(key: &HistKey, program: u32) -> Option<u32> {
    if let Some(number) = KEYS.get_ptr(key) {
        // SAFETY: keys are never removed, and their numbers never change.
        return Some(unsafe { *number });
    }
    // SAFETY: the helper takes nothing.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let program = program % COUNTING_PROGRAMS;
    let mut numbered = 0;
    counters::count(|counters| numbered = counters.numbered[program as usize] as u32);
    let number = (cpu * COUNTING_PROGRAMS + program) * NUMBERS + numbered;
    if add(TrackCounters::NO_KEYS, || {
        KEYS.insert(key, number, BPF_NOEXIST.into())
    }) {
        counters::count(|counters| counters.numbered[program as usize] += 1);
    }
    // SAFETY: as above. Another CPU may have added it first.
    KEYS.get_ptr(key).map(|number| unsafe { *number })
}

/// Adds to a map from which nothing is removed; returns whether it was added. Once the map is full,
/// this does not try again, because the kernel would search for room on every CPU.
#[inline(always)]
fn add(full: u64, insert: impl FnOnce() -> Result<(), i32>) -> bool {
    let mut known = false;
    counters::count(|counters| known = counters.full & full != 0);
    if known {
        return false;
    }
    let result = insert();
    if result == Err(E2BIG) {
        counters::count(|counters| counters.full |= full);
    }
    result.is_ok()
}

/// The key of the socket: of its user, if it has another than its owner.
#[inline(always)]
fn fill_in_key(
    key: &mut HistKey,
    socket: &WatchedSocket,
    (opener, user): (Option<&OwnerRecord>, Option<&OwnerRecord>),
    state: u32,
) {
    let by = setting!(hist.by);
    let owner = match user {
        Some(user) => Some(user),
        None => opener,
    };
    let asked = |parts: u32| by & parts != 0;
    if asked(HistKey::OF_OWNER) {
        key.owner_known = u32::from(owner.is_some());
    }
    if asked(HistKey::COMM | HistKey::PID) {
        // Word by word: an assignment as a whole costs a function call.
        key.comm[0] = owner.map_or(0, |owner| owner.comm[0]);
        key.comm[1] = owner.map_or(0, |owner| owner.comm[1]);
    }
    if asked(HistKey::PID) {
        key.pid = owner.map_or(0, |owner| owner.pid);
        key.started_ns = owner.map_or(0, |owner| owner.started_ns);
    }
    if asked(HistKey::CGROUP) {
        key.cgroup = owner.map_or(0, |owner| owner.cgroup);
    }
    if asked(HistKey::REMOTE) {
        key.remote = socket.remote;
    }
    if asked(HistKey::PORT) {
        key.port = if is_server(socket, opener, state) {
            socket.local_port
        } else {
            socket.remote_port
        };
    }
    if asked(HistKey::NETNS) {
        key.netns = socket.netns;
    }
    if asked(HistKey::FAMILY) {
        key.family = socket.family;
    }
}

/// Whether the connection came in at a listener, or this is one.
#[inline(always)]
fn is_server(socket: &WatchedSocket, owner: Option<&OwnerRecord>, state: u32) -> bool {
    match owner {
        Some(owner) if owner.known_by == OwnerRecord::CONNECT => false,
        Some(owner) if owner.known_by != OwnerRecord::FD => true,
        _ => socket.flags & WatchedSocket::FROM_LISTENER != 0 || state == TcpState::Listen as u32,
    }
}

/// The bucket of its argument. A test uses it to check how this kernel computes buckets; it is
/// never attached. It is declared by hand, because the macro drops the return value of a program.
///
/// It runs as a program on `TP_PROTO(struct pt_regs *regs, long id)` (`sys_enter`,
/// `include/trace/events/syscalls.h`), with any number as the first argument.
#[unsafe(link_section = "raw_tp/sys_enter")]
#[unsafe(no_mangle)]
pub extern "C" fn bucket_of(ctx: *mut c_void) -> i32 {
    let bucket = Bucket::of(RawTracePointContext::new(ctx).arg(0));
    i32::from(bucket.decade) << 8 | i32::from(bucket.slot)
}

//! Durations counted in histograms, for `tcptrace hist`: nothing of a transition reaches user space.

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
    BUCKETS_PER_DECADE, Bucket, Decade, DecadeKey, HistKey, LANES, Owner, TcpState, WatchedSocket,
    rest_index,
};

use crate::{settings::setting, track::table};

/// A number for each key that is counted by. All memory of these maps is taken at the start: what
/// comes in bursts finds it there, and classic tracepoints allow nothing else up to 6.0.
#[map]
static KEYS: HashMap<HistKey, u32> = HashMap::with_max_entries(1, 0);

#[map]
static DECADES: PerCpuHashMap<DecadeKey, Decade> = PerCpuHashMap::with_max_entries(1, 0);

/// What has no key, or none that found room: see `rest_index`.
#[map]
static REST: PerCpuArray<Decade> = PerCpuArray::with_max_entries(1, 0);

/// What a decade begins as.
// SAFETY: all zeros is a value of these integers.
static EMPTY: Decade = unsafe { core::mem::zeroed() };

/// Numbers of keys that one program may give on one CPU.
const NUMBERS: u32 = 1 << 18;

/// A duration in a state.
pub struct Stay<'a> {
    pub state: u32,
    pub ns: u64,
    pub socket: &'a WatchedSocket,
    /// `None` for nobody that is known.
    pub owner: Option<&'a Owner>,
    /// Which program counts.
    pub lane: u32,
}

/// Counts it. A function of its own, for it is long and called from several places.
#[inline(never)]
pub fn count(stay: &Stay<'_>) {
    let bucket = Bucket::of(stay.ns);
    let decade = if setting!(hist.by) == 0 {
        rest(stay, bucket)
    } else {
        keyed(stay, bucket).or_else(|| {
            table::count(|counters| counters.keyless += 1);
            rest(stay, bucket)
        })
    };
    // As one value that is compared and then used: else the verifier sees two.
    let slot = black_box(usize::from(bucket.slot));
    if let Some(decade) = decade
        && slot < BUCKETS_PER_DECADE
    {
        decade.counts[slot] += 1;
        decade.sum_ns += stay.ns;
        if stay.ns > decade.max_ns {
            decade.max_ns = stay.ns;
        }
        table::count(|counters| counters.counted += 1);
    }
}

#[inline(always)]
fn rest(stay: &Stay<'_>, bucket: Bucket) -> Option<&'static mut Decade> {
    let index = rest_index(stay.lane, stay.state, bucket.decade.into());
    let decade = REST.get_ptr_mut(index)?;
    // SAFETY: this CPU's own copy, which no other program writes: each has its own lane.
    Some(unsafe { &mut *decade })
}

#[inline(always)]
fn keyed(stay: &Stay<'_>, bucket: Bucket) -> Option<&'static mut Decade> {
    let key = DecadeKey {
        key: number(&key(stay), stay.lane)?,
        state: stay.state as u8,
        decade: bucket.decade,
        lane: stay.lane as u8,
        reserved: 0,
    };
    let decade = match DECADES.get_ptr_mut(key) {
        Some(decade) => decade,
        None => {
            let empty: &Decade = &EMPTY;
            // Another CPU may have been quicker.
            let _ = DECADES.insert(key, empty, BPF_NOEXIST.into());
            DECADES.get_ptr_mut(key)?
        }
    };
    // SAFETY: this CPU's own copy, which no other program writes; no decade is ever removed.
    Some(unsafe { &mut *decade })
}

/// The key's number, which it gets when there is room for one more.
#[inline(always)]
fn number(key: &HistKey, lane: u32) -> Option<u32> {
    if let Some(number) = KEYS.get_ptr(key) {
        // SAFETY: keys are never removed, and their numbers stay.
        return Some(unsafe { *number });
    }
    // SAFETY: the helper takes nothing.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    table::count(|counters| {
        let number = (cpu * LANES + lane) * NUMBERS + counters.numbered as u32;
        if KEYS.insert(key, number, BPF_NOEXIST.into()).is_ok() {
            counters.numbered += 1;
        }
    });
    // SAFETY: as above. It may be there without us: another CPU was quicker.
    KEYS.get_ptr(key).map(|number| unsafe { *number })
}

/// What it is counted by.
#[inline(always)]
fn key(stay: &Stay<'_>) -> HistKey {
    let by = setting!(hist.by);
    let (socket, mut key) = (stay.socket, HistKey::default());
    if by & HistKey::OF_OWNER != 0
        && let Some(owner) = stay.owner
    {
        key.owned = 1;
        if by & (HistKey::COMM | HistKey::PID) != 0 {
            key.comm = owner.comm;
        }
        if by & HistKey::PID != 0 {
            (key.pid, key.started_ns) = (owner.pid, owner.started_ns);
        }
        if by & HistKey::CGROUP != 0 {
            key.cgroup = owner.cgroup;
        }
    }
    if by & HistKey::REMOTE != 0 {
        key.remote = socket.remote;
    }
    if by & HistKey::PORT != 0 {
        key.port = if is_server(stay) {
            socket.local_port
        } else {
            socket.remote_port
        };
    }
    if by & HistKey::NETNS != 0 {
        key.netns = socket.netns;
    }
    if by & HistKey::FAMILY != 0 {
        key.family = socket.family;
    }
    key
}

/// Whether the connection came in at a listener, or this is one.
#[inline(always)]
fn is_server(stay: &Stay<'_>) -> bool {
    match stay.owner {
        Some(owner) if owner.known_by == Owner::CONNECT => false,
        Some(owner) if owner.known_by != Owner::FD => true,
        _ => {
            stay.socket.flags & WatchedSocket::FROM_LISTENER != 0
                || stay.state == TcpState::Listen as u32
        }
    }
}

/// The bucket of its argument, by which a test sees how this kernel computes it; never attached. By
/// hand, for the macro drops what a program returns.
#[unsafe(link_section = "raw_tp/sys_enter")]
#[unsafe(no_mangle)]
pub extern "C" fn bucket_of(ctx: *mut c_void) -> i32 {
    let bucket = Bucket::of(RawTracePointContext::new(ctx).arg(0));
    i32::from(bucket.decade) << 8 | i32::from(bucket.slot)
}

//! Follows the watched state: adds a socket when it enters, removes it when it leaves, and ignores
//! other transitions.

mod entry;
mod exit;

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC},
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map, tracepoint},
    maps::{HashMap, PerCpuArray},
    programs::{BtfTracePointContext, TracePointContext},
};
use aya_log_ebpf::{debug, warn};
use tcptrace_common::{IPPROTO_MPTCP, IPPROTO_TCP, WatchCounters, WatchedEntry, WatchedSocket};

use crate::{
    filter, mptcp::is_subflow, settings::setting, sock::TypedSock, tracepoint::TracepointRecord,
};

/// Sockets in the watched state, by the address of their `struct sock`.
#[map]
static SOCKETS: HashMap<u64, WatchedEntry> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// The same for the classic tracepoint: up to 6.0 the kernel warns (once, in its log) about a
/// program of that type with a map that is not preallocated.
#[map]
static SOCKETS_PREALLOCATED: HashMap<u64, WatchedEntry> = HashMap::with_max_entries(1, 0);

/// One entry.
#[map]
static WATCH_COUNTERS: PerCpuArray<WatchCounters> = PerCpuArray::with_max_entries(1, 0);

/// The hook that costs less: typed loads, and the kernel builds no record.
///
/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
/// (`inet_sock_set_state`, `include/trace/events/sock.h`).
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn set_state_btf(ctx: BtfTracePointContext) -> i32 {
    let watched = setting!(watched_state) as i32;
    if ctx.arg::<i32>(2) == watched {
        let sock = TypedSock::new(ctx.arg(0));
        let transition = Transition {
            sock: sock.address(),
            protocol: sock.protocol(),
            from: ctx.arg(1),
        };
        enter(&ctx, &SOCKETS, transition, sock.describe());
    } else if ctx.arg::<i32>(1) == watched {
        leave(&ctx, &SOCKETS, ctx.arg(0));
    }
    0
}

/// The hook for kernels without BTF: the same tracepoint's record, whose layout differs between
/// kernels. See [`TracepointRecord`].
#[tracepoint(category = "sock", name = "inet_sock_set_state")]
pub fn set_state_tracepoint(ctx: TracePointContext) -> u32 {
    let watched = setting!(watched_state) as i32;
    let record = TracepointRecord::new(&ctx);
    if record.new_state() == watched {
        let transition = Transition {
            sock: record.sock(),
            protocol: record.protocol(),
            from: record.old_state(),
        };
        enter(&ctx, &SOCKETS_PREALLOCATED, transition, record.describe());
    } else if record.old_state() == watched {
        leave(&ctx, &SOCKETS_PREALLOCATED, record.sock());
    }
    0
}

/// A transition into the watched state.
struct Transition {
    sock: *const u8,
    protocol: u16,
    /// The state that the socket leaves.
    from: i32,
}

#[inline(always)]
fn enter(
    ctx: &impl EbpfContext,
    sockets: &HashMap<u64, WatchedEntry>,
    transition: Transition,
    mut socket: WatchedSocket,
) {
    let Transition {
        sock,
        protocol,
        from,
    } = transition;
    if protocol == IPPROTO_MPTCP {
        socket.cookie = 0;
        socket.flags |= WatchedSocket::MPTCP;
    }
    // The connection enters the state by itself, perhaps earlier than its subflows.
    let is_one = protocol == IPPROTO_MPTCP || protocol == IPPROTO_TCP && !is_subflow(sock);
    if !filter::fits(&socket) || !is_one {
        return;
    }
    // SAFETY: the helper takes nothing and only reads the clock.
    socket.since_ns = unsafe { bpf_ktime_get_ns() };
    let entry = WatchedEntry {
        socket,
        known: entry::known(sock, protocol, from),
    };
    match sockets.insert(sock as u64, entry, BPF_ANY.into()) {
        Ok(()) => {
            count(|counters| counters.entered += 1);
            debug!(
                ctx,
                "in: port {} <- {}", socket.local_port, socket.remote_port
            );
        }
        Err(error) => {
            count(|counters| counters.lost += 1);
            warn!(
                ctx,
                "lost: port {} <- {}: {}", socket.local_port, socket.remote_port, error
            );
        }
    }
}

#[inline(always)]
fn leave(ctx: &impl EbpfContext, sockets: &HashMap<u64, WatchedEntry>, sock: *const u8) {
    // Not in the map: it entered the state before the start or did not pass the filter.
    let Some(entry) = sockets.get_ptr(sock as u64) else {
        return;
    };
    // SAFETY: the entry is in the map until it is removed below: the kernel makes one transition of a socket
    // at a time.
    exit::report(unsafe { &(*entry).socket });
    if sockets.remove(sock as u64).is_ok() {
        count(|counters| counters.left += 1);
        // Its address cannot be logged: the verifier does not allow a pointer to be split up.
        debug!(ctx, "out");
    }
}

#[inline(always)]
fn count(change: impl FnOnce(&mut WatchCounters)) {
    if let Some(counters) = WATCH_COUNTERS.get_ptr_mut(0) {
        // SAFETY: this CPU's own copy; a program of this kind does not nest on one CPU.
        change(unsafe { &mut *counters });
    }
}

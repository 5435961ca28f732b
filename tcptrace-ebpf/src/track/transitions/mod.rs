//! A socket goes from one state to another.

mod came_in;
mod count;
mod record;
mod transition;
mod with_owners;
mod without_owners;

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, tracepoint},
    programs::{BtfTracePointContext, TracePointContext},
};
use tcptrace_common::{IPPROTO_MPTCP, IPPROTO_TCP};

use self::transition::{CLOSE, FIRST, LISTEN, STAND_IN, SYN_RECV, Transition};
use super::{
    counters,
    read_sock::ReadSock,
    table::{self, Table},
};
use crate::{settings::setting, sock::TypedSock, tracepoint::TracepointRecord};

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
/// (`inet_sock_set_state`, `include/trace/events/sock.h`).
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn transition_btf(ctx: BtfTracePointContext) -> i32 {
    let (from, to) = (ctx.arg::<i32>(1) as u32, ctx.arg::<i32>(2) as u32);
    take_in(
        table::table!(),
        &TypedSock::new(ctx.arg(0)),
        from,
        to,
        FIRST,
    );
    0
}

/// A second copy, attached when the kernel has skipped runs of the first. The kernel skips a
/// program while the same program is interrupted on the same CPU, but then it runs this one.
///
/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
/// (`inet_sock_set_state`, `include/trace/events/sock.h`).
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn transition_again_btf(ctx: BtfTracePointContext) -> i32 {
    let (table, sock) = (table::table!(), TypedSock::new(ctx.arg(0)));
    let (from, to) = (ctx.arg::<i32>(1) as u32, ctx.arg::<i32>(2) as u32);
    let told = match table::get(table, sock.address()) {
        Some(entry) => entry.state == to,
        // A socket that has just been closed may have no entry any more, some sockets never have
        // one, and some did not fit.
        None => {
            to == CLOSE || without_owners::leaves_out(to) || counters::was_untracked(sock.address())
        }
    };
    if from != to && !told && take_in(table, &sock, from, to, STAND_IN) {
        counters::count(|counters| counters.told_by_stand_in += 1);
    }
    0
}

/// The same tracepoint's record, whose layout differs between kernels: see [`TracepointRecord`].
#[tracepoint(category = "sock", name = "inet_sock_set_state")]
pub fn transition_tracepoint(ctx: TracePointContext) -> u32 {
    let record = TracepointRecord::new(&ctx);
    let (from, to) = (record.old_state() as u32, record.new_state() as u32);
    take_in(table::preallocated(), &record, from, to, FIRST);
    0
}

/// Handles a transition; returns whether it was relevant.
#[inline(always)]
fn take_in(table: &Table, sock: &impl ReadSock, from: u32, to: u32, program: u32) -> bool {
    if without_owners::leaves_out(from) && without_owners::leaves_out(to) {
        return false;
    }
    let protocol = sock.protocol();
    // Closing a socket that was shut down before sets the state that it is already in.
    if from == to || (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) {
        return false;
    }
    // SAFETY: the helper takes nothing and only reads the clock.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let (ending, by_call) = transition::ending(sock, protocol, from, to);
    let transition = Transition {
        protocol,
        from,
        to,
        now_ns,
        program,
        ending,
        by_call,
    };
    if setting!(hist.without_owners) != 0 {
        return without_owners::take_in(table, sock, &transition);
    }
    if from == LISTEN && to == SYN_RECV {
        came_in::came_in(table, sock, now_ns);
    } else {
        with_owners::take_in(table, sock, &transition);
    }
    // No tracepoint reports when an MPTCP connection as a whole is destroyed.
    if protocol == IPPROTO_MPTCP && to == CLOSE {
        let _ = table.remove(sock.address() as u64);
    }
    true
}

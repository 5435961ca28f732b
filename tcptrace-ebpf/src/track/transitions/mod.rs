//! A socket goes from one state to another.
//!
//! Kernel prototype (`include/trace/events/sock.h`):
//! `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)` for
//! `inet_sock_set_state`.

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

use self::transition::{CLOSE, LISTEN, SYN_RECV, Step};
use super::{
    counters,
    seen::{Seen, Typed},
    table::{self, Table},
};
use crate::{settings::setting, tracepoint::Record};

/// The program that runs at first, and the one that stands in for it.
const FIRST: u32 = 0;
const AGAIN: u32 = 1;

#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn transition_btf(ctx: BtfTracePointContext) -> i32 {
    let (from, to) = (ctx.arg::<i32>(1) as u32, ctx.arg::<i32>(2) as u32);
    transition(table::table!(), &Typed::new(&ctx), from, to, FIRST);
    0
}

/// The same once more, attached when the kernel is seen to skip runs of the other: it does so while
/// that one is interrupted on the same CPU, but then it runs this one.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn transition_again_btf(ctx: BtfTracePointContext) -> i32 {
    let (table, seen) = (table::table!(), Typed::new(&ctx));
    let (from, to) = (ctx.arg::<i32>(1) as u32, ctx.arg::<i32>(2) as u32);
    let told = match table::get(table, seen.sock()) {
        Some(entry) => entry.state == to,
        // What has just been closed may have no entry any more, some never have one, and for some there was no room.
        None => to == CLOSE || without_owners::leaves_out(to) || counters::was_unkept(seen.sock()),
    };
    if from != to && !told && transition(table, &seen, from, to, AGAIN) {
        counters::count(|counters| counters.rescued += 1);
    }
    0
}

#[tracepoint(category = "sock", name = "inet_sock_set_state")]
pub fn transition_tracepoint(ctx: TracePointContext) -> u32 {
    let record = Record::new(&ctx);
    let (from, to) = (record.old_state() as u32, record.new_state() as u32);
    transition(table::preallocated(), &record, from, to, FIRST);
    0
}

/// Takes a transition in; whether it was any of our business.
#[inline(always)]
fn transition(table: &Table, seen: &impl Seen, from: u32, to: u32, lane: u32) -> bool {
    if without_owners::leaves_out(from) && without_owners::leaves_out(to) {
        return false;
    }
    let protocol = seen.protocol();
    // Closing what was shut down before sets the state that the socket is in already.
    if from == to || (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) {
        return false;
    }
    // SAFETY: the helper takes nothing and only reads the clock.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let step = Step {
        protocol,
        from,
        to,
        now_ns,
        lane,
    };
    if setting!(hist.unowned) != 0 {
        return without_owners::changed(table, seen, &step);
    }
    if from == LISTEN && to == SYN_RECV {
        came_in::came_in(table, seen, now_ns);
    } else {
        with_owners::changed(table, seen, &step);
    }
    // No one tells when an MPTCP connection as a whole is destroyed.
    if protocol == IPPROTO_MPTCP && to == CLOSE {
        let _ = table.remove(seen.sock() as u64);
    }
    true
}

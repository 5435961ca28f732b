//! The connections that wait at a listener. Their listener is the right one by construction.
//!
//! The queue is read without its lock. A request leaves it at its head only, so everything behind
//! the head is valid for as long as the head stays the same; the user side checks that.

use aya_ebpf::{cty::c_void, programs::RawTracePointContext};

use crate::{
    describe::{describe, describe_ends, member},
    memory::peek,
    mptcp::{connection, is_subflow},
    output::queue_step,
    settings::setting,
};

/// Reads one request: the arguments are the address of the listener, and of the request, or 0 for
/// the first one. The user side runs it, it is never attached.
///
/// It runs as a program on `TP_PROTO(struct pt_regs *regs, long id)` (`sys_enter`,
/// `include/trace/events/syscalls.h`), with any numbers as arguments.
#[unsafe(link_section = "raw_tp/sys_enter")]
#[unsafe(no_mangle)]
pub extern "C" fn accept_queue(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    let (listener, at): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let listener = listener as *const u8;
    let Some(step) = queue_step() else {
        return 0;
    };
    // SAFETY: the entry is in the map; only one such program runs at a time.
    let step = unsafe { &mut *step };
    let request = match at {
        0 => peek::<u64>(listener, setting!(tcp.icsk_accept_head)),
        at => at,
    } as *const u8;
    // A read at address 0 gives 0.
    let child = peek::<u64>(request, setting!(tcp.request_sk)) as *const u8;
    // A process accepts the connection, which is in a state of its own. Up to 6.2 it has no addresses
    // before that.
    let accepted = match is_subflow(child) {
        true => connection(child),
        false => child,
    };
    describe(accepted, &mut step.child);
    describe_ends(child, &mut step.child);
    step.next = peek(request, setting!(tcp.request_next));
    step.listener = peek(request, setting!(tcp.request_listener));
    step.queued = member!(listener, tcp.sk_ack_backlog);
    step.state = peek::<u8>(listener, setting!(sock.skc_state)).into();
    step.head = peek(listener, setting!(tcp.icsk_accept_head));
    0
}

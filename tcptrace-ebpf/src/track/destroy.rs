//! The end of a socket: the kernel destroys it.

use aya_ebpf::{
    EbpfContext,
    macros::{btf_tracepoint, tracepoint},
    programs::{BtfTracePointContext, TracePointContext},
};

use super::table;
use crate::{memory::peek, settings::setting};

/// `TP_PROTO(struct sock *sk)` (`tcp_destroy_sock`, `include/trace/events/tcp.h`).
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub fn destroyed_btf(ctx: BtfTracePointContext) -> i32 {
    // No entry: the socket is older than the session and never changed its state.
    let _ = table::table!().remove(ctx.arg::<u64>(0));
    0
}

/// The same tracepoint's record: its field `skaddr`.
#[tracepoint(category = "tcp", name = "tcp_destroy_sock")]
pub fn destroyed_tracepoint(ctx: TracePointContext) -> u32 {
    let record = ctx.as_ptr().cast_const().cast();
    let sock: u64 = peek(record, setting!(tracepoint.destroyed_skaddr));
    let _ = table::preallocated().remove(sock);
    0
}

//! The classic tracepoint's record, at the offsets that its `format` file gives.

use aya_ebpf::{EbpfContext, programs::TracePointContext};
use tcptrace_common::{AF_INET6, WatchedSocket};

use crate::{
    memory::peek,
    settings::setting,
    sock::{flags, netns, v4_mapped},
};

/// The record of `inet_sock_set_state` (`TP_STRUCT__entry` in `include/trace/events/sock.h`):
/// `skaddr`, `oldstate`, `newstate`, `sport`, `dport`, `family`, `protocol`, `saddr`, `daddr`,
/// `saddr_v6`, `daddr_v6`.
pub struct TracepointRecord(*const u8);

impl TracepointRecord {
    #[inline(always)]
    pub fn new(ctx: &TracePointContext) -> Self {
        Self(ctx.as_ptr().cast_const().cast())
    }

    #[inline(always)]
    pub fn sock(&self) -> *const u8 {
        peek::<u64>(self.0, setting!(tracepoint.skaddr)) as *const u8
    }

    #[inline(always)]
    pub fn old_state(&self) -> i32 {
        peek(self.0, setting!(tracepoint.oldstate))
    }

    #[inline(always)]
    pub fn new_state(&self) -> i32 {
        peek(self.0, setting!(tracepoint.newstate))
    }

    #[inline(always)]
    pub fn protocol(&self) -> u16 {
        let offset = setting!(tracepoint.protocol);
        if setting!(tracepoint.protocol_bytes) == 1 {
            u16::from(peek::<u8>(self.0, offset))
        } else {
            peek(self.0, offset)
        }
    }

    /// Everything about the socket except the time. The record has no namespace; the namespace, the
    /// interface and the flags are read from the socket if BTF gives their offsets.
    #[inline(always)]
    pub fn describe(&self) -> WatchedSocket {
        let mut socket = WatchedSocket::default();
        self.describe_place(&mut socket);
        self.describe_ends(&mut socket);
        socket
    }

    /// The constant part: family, namespace and interface.
    #[inline(always)]
    pub fn describe_place(&self, socket: &mut WatchedSocket) {
        socket.family = peek(self.0, setting!(tracepoint.family));
        if setting!(sock.net_inum) != 0 {
            socket.netns = netns(self.sock());
            socket.bound_interface = peek(self.sock(), setting!(sock.skc_bound_dev_if));
        }
    }

    /// The part that changes while a connection is made: ports, addresses and flags. The family is
    /// already filled in.
    #[inline(always)]
    pub fn describe_ends(&self, socket: &mut WatchedSocket) {
        (socket.local, socket.remote) = if socket.family == AF_INET6 {
            (
                self.v6(setting!(tracepoint.saddr_v6)),
                self.v6(setting!(tracepoint.daddr_v6)),
            )
        } else {
            (
                v4_mapped(peek(self.0, setting!(tracepoint.saddr))),
                v4_mapped(peek(self.0, setting!(tracepoint.daddr))),
            )
        };
        socket.local_port = peek(self.0, setting!(tracepoint.sport));
        socket.remote_port = peek(self.0, setting!(tracepoint.dport));
        if setting!(sock.net_inum) != 0 {
            socket.flags = flags(peek(self.sock(), setting!(sock.sk_max_ack_backlog)));
        }
    }

    #[inline(always)]
    fn v6(&self, offset: u32) -> [u64; 2] {
        [peek(self.0, offset), peek(self.0, offset + 8)]
    }
}

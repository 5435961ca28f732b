//! Reading the current socket, in the form in which the hook passes it.

use tcptrace_common::{AF_INET6, IPPROTO_MPTCP, WatchedSocket};

use crate::{
    memory::peek,
    settings::setting,
    sock::{TypedSock, flags, netns, v4_mapped},
    tracepoint::TracepointRecord,
};

/// What a hook reports about a socket.
pub trait ReadSock {
    /// The address of its `struct sock`.
    fn address(&self) -> *const u8;
    /// `IPPROTO_…`.
    fn protocol(&self) -> u16;
    /// The cookie, or 0.
    fn cookie(&self) -> u64;
    /// Fills in the family, the namespace and the interface, which do not change.
    fn describe_place(&self, socket: &mut WatchedSocket);
    /// Fills in the part that changes while a connection is made: cookie, ports, addresses and
    /// flags. The family is already filled in.
    fn describe_ends(&self, socket: &mut WatchedSocket);
    /// Whether a process has a descriptor of it (`sk->sk_socket`).
    fn has_file(&self) -> bool;
    /// The integer at this offset of `struct sock`.
    fn load<T: Copy + Default>(&self, offset: u32) -> T;
}

/// The same as [`ReadSock::describe_ends`], also for MPTCP.
#[inline(always)]
pub fn describe_ends(sock: &impl ReadSock, socket: &mut WatchedSocket) {
    sock.describe_ends(socket);
    if sock.protocol() == IPPROTO_MPTCP {
        // A connection that has just come in has no addresses; its first subflow has.
        let offset = setting!(sock.mptcp_first);
        if socket.remote_port == 0 && offset != 0 {
            let first = peek::<u64>(sock.address(), offset) as *const u8;
            if !first.is_null() {
                RawSock(first).describe_ends(socket);
            }
        }
        socket.cookie = 0;
        socket.flags |= WatchedSocket::MPTCP;
    }
}

impl ReadSock for TypedSock {
    #[inline(always)]
    fn address(&self) -> *const u8 {
        TypedSock::address(*self)
    }

    #[inline(always)]
    fn protocol(&self) -> u16 {
        TypedSock::protocol(*self)
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        TypedSock::cookie(*self)
    }

    #[inline(always)]
    fn describe_place(&self, socket: &mut WatchedSocket) {
        TypedSock::describe_place(*self, socket);
    }

    #[inline(always)]
    fn describe_ends(&self, socket: &mut WatchedSocket) {
        TypedSock::describe_ends(*self, socket);
    }

    #[inline(always)]
    fn has_file(&self) -> bool {
        // Not as a typed pointer: see `TypedSock::netns`.
        peek::<u64>(TypedSock::address(*self), setting!(sock.sk_socket)) != 0
    }

    #[inline(always)]
    fn load<T: Copy + Default>(&self, offset: u32) -> T {
        TypedSock::load(*self, offset)
    }
}

impl ReadSock for TracepointRecord {
    #[inline(always)]
    fn address(&self) -> *const u8 {
        self.sock()
    }

    #[inline(always)]
    fn protocol(&self) -> u16 {
        self.protocol()
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        given_cookie(self.sock())
    }

    #[inline(always)]
    fn describe_place(&self, socket: &mut WatchedSocket) {
        self.describe_place(socket);
    }

    #[inline(always)]
    fn describe_ends(&self, socket: &mut WatchedSocket) {
        self.describe_ends(socket);
        socket.cookie = given_cookie(self.sock());
    }

    #[inline(always)]
    fn has_file(&self) -> bool {
        let offset = setting!(sock.sk_socket);
        // Without type information this is unknown.
        offset == 0 || peek::<u64>(self.sock(), offset) != 0
    }

    #[inline(always)]
    fn load<T: Copy + Default>(&self, offset: u32) -> T {
        peek(self.sock(), offset)
    }
}

/// A socket that is only known by its address: everything is read as raw memory.
pub struct RawSock(pub *const u8);

impl RawSock {
    /// The state that it is in.
    #[inline(always)]
    pub fn state(&self) -> u8 {
        peek(self.0, setting!(sock.skc_state))
    }

    #[inline(always)]
    pub fn family(&self) -> u16 {
        peek(self.0, setting!(sock.skc_family))
    }
}

impl ReadSock for RawSock {
    #[inline(always)]
    fn address(&self) -> *const u8 {
        self.0
    }

    #[inline(always)]
    fn protocol(&self) -> u16 {
        peek(self.0, setting!(sock.sk_protocol))
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        given_cookie(self.0)
    }

    #[inline(always)]
    fn describe_place(&self, socket: &mut WatchedSocket) {
        socket.netns = netns(self.0);
        socket.bound_interface = peek(self.0, setting!(sock.skc_bound_dev_if));
        socket.family = self.family();
    }

    #[inline(always)]
    fn describe_ends(&self, socket: &mut WatchedSocket) {
        (socket.local, socket.remote) = if socket.family == AF_INET6 {
            (
                peek(self.0, setting!(sock.skc_v6_rcv_saddr)),
                peek(self.0, setting!(sock.skc_v6_daddr)),
            )
        } else {
            (
                v4_mapped(peek(self.0, setting!(sock.skc_rcv_saddr))),
                v4_mapped(peek(self.0, setting!(sock.skc_daddr))),
            )
        };
        socket.cookie = self.cookie();
        socket.local_port = peek(self.0, setting!(sock.skc_num));
        socket.remote_port = u16::from_be(peek(self.0, setting!(sock.skc_dport)));
        socket.flags = flags(peek(self.0, setting!(sock.sk_max_ack_backlog)));
    }

    #[inline(always)]
    fn has_file(&self) -> bool {
        peek::<u64>(self.0, setting!(sock.sk_socket)) != 0
    }

    #[inline(always)]
    fn load<T: Copy + Default>(&self, offset: u32) -> T {
        peek(self.0, offset)
    }
}

/// The cookie if something has already requested it; only then does the socket have one.
#[inline(always)]
fn given_cookie(sock: *const u8) -> u64 {
    match setting!(sock.skc_cookie) {
        0 => 0,
        offset => peek(sock, offset),
    }
}

//! Reading `struct sock` at the offsets that the user side found in the kernel's BTF.

use aya_ebpf::helpers::bpf_get_socket_cookie;
use tcptrace_common::{AF_INET, AF_INET6, WatchedSocket};

use crate::{memory::peek, settings::setting, typed::TypedPtr};

/// `struct sock` as `tp_btf` passes it.
#[derive(Clone, Copy)]
pub struct TypedSock(TypedPtr);

impl TypedSock {
    #[inline(always)]
    pub fn new(sock: *const u8) -> Self {
        Self(TypedPtr(sock))
    }

    #[inline(always)]
    pub fn address(self) -> *const u8 {
        self.0.0
    }

    #[inline(always)]
    pub fn protocol(self) -> u16 {
        self.0.load(setting!(sock.sk_protocol))
    }

    /// The network namespace's inode number. It is read as raw memory: for each typed load of a
    /// pointer the verifier searches the kernel's types, which takes some ms.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        netns(self.address())
    }

    /// Everything about the socket except the time.
    #[inline(always)]
    pub fn describe(self) -> WatchedSocket {
        let mut socket = WatchedSocket::default();
        self.describe_place(&mut socket);
        self.describe_ends(&mut socket);
        socket
    }

    /// The constant part: family, namespace and interface.
    #[inline(always)]
    pub fn describe_place(self, socket: &mut WatchedSocket) {
        socket.netns = self.netns();
        socket.bound_interface = self.0.load(setting!(sock.skc_bound_dev_if));
        socket.family = self.0.load(setting!(sock.skc_family));
    }

    /// The part that changes while a connection is made: cookie, ports, addresses and flags. The
    /// family is already filled in.
    #[inline(always)]
    pub fn describe_ends(self, socket: &mut WatchedSocket) {
        (socket.local, socket.remote) = if socket.family == AF_INET6 {
            (
                self.load_v6(setting!(sock.skc_v6_rcv_saddr)),
                self.load_v6(setting!(sock.skc_v6_daddr)),
            )
        } else {
            (
                v4_mapped(self.0.load(setting!(sock.skc_rcv_saddr))),
                v4_mapped(self.0.load(setting!(sock.skc_daddr))),
            )
        };
        socket.cookie = self.cookie();
        socket.local_port = self.0.load(setting!(sock.skc_num));
        socket.remote_port = u16::from_be(self.0.load(setting!(sock.skc_dport)));
        socket.flags = flags(self.0.load(setting!(sock.sk_max_ack_backlog)));
    }

    /// The integer at this offset.
    #[inline(always)]
    pub fn load<T: Copy>(self, offset: u32) -> T {
        self.0.load(offset)
    }

    #[inline(always)]
    fn load_v6(self, offset: u32) -> [u64; 2] {
        [self.0.load(offset), self.0.load(offset + 8)]
    }

    /// The cookie, which the helper creates on first use. If tracing programs may not call the
    /// helper: the cookie that something else has created, or 0.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        // It already exists, except when a socket is seen for the first time.
        if setting!(sock.skc_cookie) != 0 {
            let made = self.0.load(setting!(sock.skc_cookie));
            if made != 0 {
                return made;
            }
        }
        if setting!(has_cookie) == 0 {
            return 0;
        }
        // SAFETY: the helper takes a `struct sock_common *`, which this points to.
        unsafe { bpf_get_socket_cookie(self.address().cast_mut().cast()) }
    }
}

/// The inode number of a socket's network namespace.
#[inline(always)]
pub fn netns(sock: *const u8) -> u32 {
    let net = peek::<u64>(sock, setting!(sock.skc_net)) as *const u8;
    peek(net, setting!(sock.net_inum))
}

/// The flags of a socket that could be read and has this backlog.
#[inline(always)]
pub fn flags(backlog: u32) -> u16 {
    if backlog == 0 {
        WatchedSocket::SOCK_READ
    } else {
        WatchedSocket::SOCK_READ | WatchedSocket::FROM_LISTENER
    }
}

/// An IPv4 address, as it is in memory, in its v4-mapped IPv6 form.
#[inline(always)]
pub fn v4_mapped(address: u32) -> [u64; 2] {
    let mut words = [0u32; 4];
    words[2] = 0xffff_u32.to_be();
    words[3] = address;
    // Both sides have the same byte order, so the halves are joined as in memory.
    if cfg!(target_endian = "little") {
        [0, u64::from(words[2]) | u64::from(words[3]) << 32]
    } else {
        [0, u64::from(words[2]) << 32 | u64::from(words[3])]
    }
}

/// Whether `family` is one that TCP runs on.
#[inline(always)]
pub fn is_ip(family: u16) -> bool {
    family == AF_INET || family == AF_INET6
}

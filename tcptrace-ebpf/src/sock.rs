//! Reading `struct sock` at the offsets that the user side found in the kernel's BTF.

use aya_ebpf::helpers::{bpf_get_socket_cookie, bpf_probe_read_kernel};
use tcptrace_common::{AF_INET, AF_INET6, WatchedSocket};

use crate::settings::setting;

/// `struct sock` as `tp_btf` hands it over: the verifier knows its type and checks each load.
#[derive(Clone, Copy)]
pub struct Sock(pub *const u8);

impl Sock {
    /// Loads the member at `offset`.
    #[inline(always)]
    pub fn load<T: Copy>(self, offset: u32) -> T {
        // SAFETY: the verifier refuses the program unless the offset lies in the type, and a load
        // through a stale pointer yields zeros instead of a fault.
        unsafe { self.0.add(offset as usize).cast::<T>().read_volatile() }
    }

    /// The network namespace's inode number. It is read as raw memory: for each typed load of a
    /// pointer the verifier searches the kernel's types, which takes it some ms.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        netns(self.0)
    }

    /// Everything about the socket but the time.
    #[inline(always)]
    pub fn describe(self) -> WatchedSocket {
        let mut socket = WatchedSocket::default();
        self.describe_place(&mut socket);
        self.describe_ends(&mut socket);
        socket
    }

    /// What stays as it is: family, namespace and interface.
    #[inline(always)]
    pub fn describe_place(self, socket: &mut WatchedSocket) {
        socket.netns = self.netns();
        socket.bound_interface = self.load(setting!(sock.skc_bound_dev_if));
        socket.family = self.load(setting!(sock.skc_family));
    }

    /// What changes while a connection is made: cookie, ports, addresses and flags. The family is
    /// there already.
    #[inline(always)]
    pub fn describe_ends(self, socket: &mut WatchedSocket) {
        (socket.local, socket.remote) = if socket.family == AF_INET6 {
            (
                self.load_v6(setting!(sock.skc_v6_rcv_saddr)),
                self.load_v6(setting!(sock.skc_v6_daddr)),
            )
        } else {
            (
                v4_mapped(self.load(setting!(sock.skc_rcv_saddr))),
                v4_mapped(self.load(setting!(sock.skc_daddr))),
            )
        };
        socket.cookie = self.cookie();
        socket.local_port = self.load(setting!(sock.skc_num));
        socket.remote_port = u16::from_be(self.load(setting!(sock.skc_dport)));
        socket.flags = flags(self.load(setting!(sock.sk_max_ack_backlog)));
    }

    #[inline(always)]
    fn load_v6(self, offset: u32) -> [u64; 2] {
        [self.load(offset), self.load(offset + 8)]
    }

    /// The cookie, which the helper makes on first use; where tracing may not call it, the one that
    /// somebody else had made, or 0.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        // It has been made already for all but a socket's first time.
        if setting!(sock.skc_cookie) != 0 {
            let made = self.load(setting!(sock.skc_cookie));
            if made != 0 {
                return made;
            }
        }
        if setting!(has_cookie) == 0 {
            return 0;
        }
        // SAFETY: the helper takes a `struct sock_common *`, which this points to.
        unsafe { bpf_get_socket_cookie(self.0.cast_mut().cast()) }
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

/// Reads from any kernel address; 0 where it cannot be read, as the verifier does for typed loads.
#[inline(always)]
pub fn peek<T: Copy + Default>(address: *const u8, offset: u32) -> T {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address.wrapping_add(offset as usize).cast::<T>()) }
        .unwrap_or_default()
}

/// An IPv4 address, as it lies in memory, in its v4-mapped IPv6 form.
#[inline(always)]
pub fn v4_mapped(address: u32) -> [u64; 2] {
    let mut words = [0u32; 4];
    words[2] = 0xffff_u32.to_be();
    words[3] = address;
    // Both sides are little or big endian alike, so the halves are joined as memory would.
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

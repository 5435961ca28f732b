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

    /// The network namespace's inode number.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        let net = Sock(self.load::<*const u8>(setting!(sock.skc_net)));
        net.load(setting!(sock.net_inum))
    }

    /// Everything about the socket but the time.
    #[inline(always)]
    pub fn describe(self) -> WatchedSocket {
        let family: u16 = self.load(setting!(sock.skc_family));
        let (local, remote) = if family == AF_INET6 {
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
        WatchedSocket {
            since_ns: 0,
            cookie: self.cookie(),
            netns: self.netns(),
            bound_interface: self.load(setting!(sock.skc_bound_dev_if)),
            family,
            local_port: self.load(setting!(sock.skc_num)),
            remote_port: u16::from_be(self.load(setting!(sock.skc_dport))),
            flags: flags(self.load(setting!(sock.sk_max_ack_backlog))),
            local,
            remote,
        }
    }

    #[inline(always)]
    fn load_v6(self, offset: u32) -> [u64; 2] {
        [self.load(offset), self.load(offset + 8)]
    }

    /// The cookie, which the helper makes on first use; 0 where tracing may not call it.
    #[inline(always)]
    fn cookie(self) -> u64 {
        if setting!(has_cookie) == 0 {
            return 0;
        }
        // SAFETY: the helper takes a `struct sock_common *`, which this points to.
        unsafe { bpf_get_socket_cookie(self.0.cast_mut().cast()) }
    }
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

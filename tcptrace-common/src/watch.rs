/// Which socket entered a state, and when.
///
/// Values that the kernel side could not find out are 0; the user side turns them into "unknown".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchedSocket {
    /// When it entered the state, in ns of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// The socket cookie (`SO_COOKIE`); 0 if the kernel does not let tracing programs read it, and for
    /// MPTCP.
    pub cookie: u64,
    /// Inode number of its network namespace; 0 without BTF.
    pub netns: u32,
    /// Index of the interface that it is bound to (`SO_BINDTODEVICE`, VRF, link-local scope), or 0.
    pub bound_interface: u32,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Local port in host order; 0 if none is bound yet.
    pub local_port: u16,
    /// Remote port in host order.
    pub remote_port: u16,
    /// Flags: [`Self::SOCK_READ`], [`Self::FROM_LISTENER`] and [`Self::MPTCP`].
    pub flags: u16,
    /// Local address in network order; an IPv4 address in its v4-mapped form.
    pub local: [u64; 2],
    /// Remote address, likewise.
    pub remote: [u64; 2],
}

impl WatchedSocket {
    /// `struct sock` could be read: the namespace, the interface and the other flag are known.
    pub const SOCK_READ: u16 = 1;
    /// It came from a listener, whose backlog it keeps (`sk_max_ack_backlog`).
    pub const FROM_LISTENER: u16 = 2;
    /// It is an MPTCP connection. It has no cookie here: the kernel gives all connections of a listener
    /// the listener's (`mptcp_sk_clone_init`, `net/mptcp/protocol.c`).
    pub const MPTCP: u16 = 4;
}

/// What the kernel knew about a connection when it entered the watched state.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownAtEntry {
    /// Bytes received from the peer, of which the FIN counts as one.
    pub bytes_received: u64,
    /// Bytes that the peer had acknowledged.
    pub bytes_acked: u64,
    /// Ticks since the last data arrived.
    pub ticks_since_data: u32,
    /// Ticks since the last data was sent.
    pub ticks_since_sent: u32,
    /// Bytes received and not read, of which the FIN counts as one.
    pub unread: u32,
    /// 1 if the others could be read.
    pub known: u32,
}

/// A socket that is in the watched state now: the value of the map `SOCKETS`, whose key is the
/// address of the kernel's `struct sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchedEntry {
    /// The socket.
    pub socket: WatchedSocket,
    /// What was known of it.
    pub known: KnownAtEntry,
}

/// A socket that has left the watched state.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchedExit {
    /// The socket, with the time at which it had entered.
    pub socket: WatchedSocket,
    /// When it left, in ns of `CLOCK_MONOTONIC`.
    pub left_ns: u64,
}

impl WatchedExit {
    /// For how long a socket was in the state at least that is reported when it leaves.
    pub const AT_LEAST_NS: u64 = 100_000_000;
}

/// What happened since the programs were attached, one copy for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounters {
    /// Sockets seen to enter the watched state (those that pass the filter).
    pub entered: u64,
    /// Sockets seen to leave it.
    pub left: u64,
    /// Sockets that entered but could not be kept because the map was full or the kernel was out of
    /// memory.
    pub lost: u64,
    /// Sockets that left after [`WatchedExit::AT_LEAST_NS`] and found no room to be reported.
    pub unreported: u64,
}

// SAFETY: only integers, no padding (each size is a multiple of 8 and the fields are ordered by
// decreasing alignment), so every bit pattern is a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WatchedSocket {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WatchedEntry {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WatchCounters {}

const _: () = assert!(size_of::<WatchedSocket>() == 64);
const _: () = assert!(size_of::<WatchedEntry>() == 64 + 32);
const _: () = assert!(size_of::<WatchedExit>() == 64 + 8);

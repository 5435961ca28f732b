/// A socket that is in the watched state now: the value of the map `SOCKETS`, whose key is the
/// address of the kernel's `struct sock`.
///
/// What the kernel side could not learn is 0; the user side turns that into "unknown".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchedSocket {
    /// When it entered the state, in ns of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// The socket cookie (`SO_COOKIE`); 0 where the kernel lets no tracing program ask for it.
    pub cookie: u64,
    /// Inode number of its network namespace; 0 without BTF.
    pub netns: u32,
    /// Index of the interface that it is bound to (`SO_BINDTODEVICE`, VRF, link-local scope), or 0.
    pub bound_interface: u32,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Local port in host order; 0 where none is bound yet.
    pub local_port: u16,
    /// Remote port in host order.
    pub remote_port: u16,
    /// What else is known: [`Self::SOCK_READ`] and [`Self::FROM_LISTENER`].
    pub flags: u16,
    /// Local address in network order; an IPv4 address in its v4-mapped form.
    pub local: [u64; 2],
    /// Remote address, likewise.
    pub remote: [u64; 2],
}

impl WatchedSocket {
    /// `struct sock` could be read: the namespace, the interface and the other flag are known.
    pub const SOCK_READ: u16 = 1;
    /// It came out of a listener, whose backlog it keeps (`sk_max_ack_backlog`).
    pub const FROM_LISTENER: u16 = 2;
}

/// What happened since the programs were attached, one copy for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sockets seen to enter the watched state (those that pass the filter).
    pub entered: u64,
    /// Sockets seen to leave it.
    pub left: u64,
    /// Sockets that entered but found the map full or the kernel out of memory.
    pub lost: u64,
}

/// One file descriptor that refers to a socket of interest, as the iterators write it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HolderRecord {
    /// Inode number of the socket, as in `socket:[…]` of `/proc/PID/fd`.
    pub inode: u64,
    /// The process (thread group) that has it open, as the initial PID namespace numbers it.
    pub pid: u32,
    /// The descriptor's number.
    pub fd: u32,
    /// The backlog that the socket was told to `listen()` with, inherited by children of a
    /// listener (`sk_max_ack_backlog`); 0 for a socket that connected.
    pub backlog: u32,
    /// [`TcpState`](crate::TcpState) number.
    pub state: u32,
    /// Name of the process's main thread, NUL-padded; any byte may be in it.
    pub comm: [u8; 16],
}

/// How a walk over the descriptor tables stands; the user side resets it before each pass.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkState {
    /// 1 in the first pass, in which every process is walked from its first descriptor; 0 in later
    /// ones, which only go on where the map `WALK_RESUME` says so.
    pub first_pass: u32,
    /// Set to 1 when some process has descriptors left for the next pass.
    pub more: u32,
    /// Records written for the process at hand.
    pub written: u32,
    /// Processes whose resume point could not be kept: their later descriptors were not seen.
    pub cut_short: u32,
    /// 1 when MPTCP sockets of every state are wanted: one of its subflows is in the watched state,
    /// of which the state of the whole says nothing.
    pub mptcp: u32,
    /// Nothing; makes the size a multiple of 8.
    pub reserved: u32,
}

// SAFETY: only integers, no padding (each size is a multiple of 8 and the fields are laid out by
// falling alignment), so that every bit pattern is a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WatchedSocket {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Counters {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WalkState {}

const _: () = assert!(size_of::<WatchedSocket>() == 64);
const _: () = assert!(size_of::<HolderRecord>() == 40);

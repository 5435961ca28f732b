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

// SAFETY: only integers without padding (the sizes are checked below), so that every bit pattern is
// a value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WalkState {}

const _: () = assert!(size_of::<HolderRecord>() == 40);
const _: () = assert!(size_of::<WalkState>() == 24);

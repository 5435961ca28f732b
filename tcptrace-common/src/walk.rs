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
    /// The backlog that the socket was given by `listen()`; children of a listener inherit it
    /// (`sk_max_ack_backlog`); 0 for a socket that connected.
    pub backlog: u32,
    /// [`TcpState`](crate::TcpState) number.
    pub state: u32,
    /// Name of the process's main thread, NUL-padded; it may contain any bytes.
    pub comm: [u8; 16],
}

/// The progress of a walk over the descriptor tables; the user side resets it before each pass.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkState {
    /// 1 in the first pass, which walks every process from its first descriptor; 0 in later passes,
    /// which only continue the processes in the map `WALK_RESUME`.
    pub first_pass: u32,
    /// Set to 1 when some process has descriptors left for the next pass.
    pub more: u32,
    /// Records written for the current process.
    pub written: u32,
    /// Processes whose resume point could not be kept: their remaining descriptors were not seen.
    pub cut_short: u32,
    /// 1 when MPTCP sockets of every state are wanted, because a subflow is in the watched state:
    /// the state of the whole connection says nothing about its subflows.
    pub mptcp: u32,
    /// Padding; makes the size a multiple of 8.
    pub reserved: u32,
}

// SAFETY: only integers without padding (the sizes are checked below), so every bit pattern is a
// value.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WalkState {}

const _: () = assert!(size_of::<HolderRecord>() == 40);
const _: () = assert!(size_of::<WalkState>() == 24);

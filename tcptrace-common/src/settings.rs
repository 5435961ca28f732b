//! Settings that the user side writes into the read-only global `SETTINGS` before the programs are
//! loaded. The verifier takes them for constants, so that what is switched off costs nothing.

/// How many ports a filter may name.
pub const MAX_PORTS: usize = 8;
/// How many remote prefixes a filter may name.
pub const MAX_REMOTES: usize = 4;
/// How many process names a filter may name.
pub const MAX_COMMS: usize = 4;
/// Bytes of an address in the common form, which is IPv6 (IPv4 addresses as v4-mapped).
pub const ADDRESS_BYTES: usize = 16;

/// Everything that is fixed at load.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Number of the watched [`TcpState`](crate::TcpState).
    pub watched_state: u32,
    /// 1 where tracing programs may ask for the socket cookie (5.12 and later).
    pub has_cookie: u32,
    /// 1 where the current task can be had with its type (5.11 and later).
    pub has_task_type: u32,
    /// Nothing.
    pub reserved: u32,
    /// Members of `struct sock`.
    pub sock: SockOffsets,
    /// Members on the way from a task to its sockets.
    pub task: TaskOffsets,
    /// Fields of the classic tracepoint's record.
    pub tracepoint: TracepointOffsets,
    /// What to let through.
    pub filter: KernelFilter,
    /// What only a log and histograms need.
    pub track: TrackSettings,
    /// What only histograms need.
    pub hist: HistSettings,
}

/// What only a log and histograms need.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackSettings {
    /// Bytes that wait in the ring buffer at which the reader is woken.
    pub wake_bytes: u64,
    /// The filter's control group, or 0 for all.
    pub cgroup: u64,
    /// How deep below the root that one is, or [`Self::BY_LIST`].
    pub cgroup_level: u32,
    /// A bit for each state, by number: only transitions into or out of one of them; 0 for all.
    pub states: u32,
    /// 1 when only sockets of the processes in the map `PIDS` are wanted.
    pub by_pid: u32,
    /// 1 when sockets are kept in the map whose memory is all taken at the start.
    pub preallocated: u32,
    /// 1 when accepting is seen, so that a socket with a descriptor that nobody was seen to accept
    /// has an owner that is not known.
    pub sees_accept: u32,
    /// How many of `comms` are in use.
    pub comm_count: u32,
    /// Names of processes of which one must match, NUL-padded.
    pub comms: [[u64; 2]; MAX_COMMS],
}

impl TrackSettings {
    /// The kernel cannot tell which groups a group is in: those on the list are wanted.
    pub const BY_LIST: u32 = u32::MAX;
}

/// What only histograms need.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistSettings {
    /// A bit for each state, by number, in which durations are counted; 0 for a log.
    pub states: u32,
    /// What they are counted by: bits of [`HistKey`](crate::HistKey).
    pub by: u32,
    /// 1 when nothing depends on owners, so that only sockets in those states are kept.
    pub without_owners: u32,
    /// Nothing.
    pub reserved: u32,
}

/// Byte offsets of members of `struct sock` and of what it points to. All are 0 where the kernel
/// has no BTF; then only the classic tracepoint works.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is named for the kernel's member.
pub struct SockOffsets {
    pub skc_family: u32,
    pub skc_state: u32,
    pub skc_num: u32,
    pub skc_dport: u32,
    pub skc_daddr: u32,
    pub skc_rcv_saddr: u32,
    pub skc_v6_daddr: u32,
    pub skc_v6_rcv_saddr: u32,
    pub skc_bound_dev_if: u32,
    pub skc_net: u32,
    /// Of `struct net`: `ns.inum`.
    pub net_inum: u32,
    pub sk_protocol: u32,
    pub sk_max_ack_backlog: u32,
    /// The rest only serves a log, which does with less where one is 0.
    pub skc_cookie: u32,
    pub sk_socket: u32,
    pub inet_sport: u32,
    pub tsq_node: u32,
    pub reserved: u32,
}

/// Byte offsets of members on the way from `struct task_struct` to `struct sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is named for the kernel's type and member.
pub struct TaskOffsets {
    pub task_pid: u32,
    pub task_tgid: u32,
    pub task_comm: u32,
    pub task_files: u32,
    pub task_group_leader: u32,
    pub files_fdt: u32,
    pub fdt_fd: u32,
    pub fdt_max_fds: u32,
    pub file_private_data: u32,
    pub file_inode: u32,
    pub inode_ino: u32,
    pub socket_file: u32,
    pub socket_sk: u32,
    /// The rest only serves a log.
    pub task_flags: u32,
    pub task_start_boottime: u32,
    pub task_cgroups: u32,
    pub css_set_dfl_cgrp: u32,
    pub cgroup_kn: u32,
    pub kernfs_node_id: u32,
    pub reserved: u32,
}

/// Byte offsets of fields in the record of the tracepoint `sock:inet_sock_set_state`, from its
/// `format` file.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is named for the record's field.
pub struct TracepointOffsets {
    pub skaddr: u32,
    pub oldstate: u32,
    pub newstate: u32,
    pub sport: u32,
    pub dport: u32,
    pub family: u32,
    pub protocol: u32,
    /// 1 or 2: the kernel widened the field in 5.6.
    pub protocol_bytes: u32,
    pub saddr_v6: u32,
    pub daddr_v6: u32,
    pub saddr: u32,
    pub daddr: u32,
    /// Of the record of `tcp:tcp_destroy_sock`.
    pub destroyed_skaddr: u32,
    pub reserved: u32,
}

/// What a socket must be to be kept; a part that is 0 lets everything through.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelFilter {
    /// How many of `remotes` are in use.
    pub remote_count: u32,
    /// Inode number of the network namespace, or 0 for all.
    pub netns: u32,
    /// Address family, or 0 for both.
    pub family: u32,
    /// How many of `ports` are in use.
    pub port_count: u32,
    /// Ports, local or remote, of which one must match.
    pub ports: [u16; MAX_PORTS],
    /// Prefixes of which one must hold the remote address.
    pub remotes: [Prefix; MAX_REMOTES],
}

/// A range of addresses in the common form, as it lies in memory in network order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The first address.
    pub address: [u64; 2],
    /// Ones where an address must agree.
    pub mask: [u64; 2],
}

// SAFETY: only integers laid out without padding (checked below), so that every byte is defined.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Settings {}

const _: () =
    assert!(size_of::<KernelFilter>() == 16 + 2 * MAX_PORTS + MAX_REMOTES * size_of::<Prefix>());
const _: () = assert!(
    size_of::<Settings>()
        == 16
            + size_of::<SockOffsets>()
            + size_of::<TaskOffsets>()
            + size_of::<TracepointOffsets>()
            + size_of::<KernelFilter>()
            + size_of::<TrackSettings>()
            + size_of::<HistSettings>()
);

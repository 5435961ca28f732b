//! Settings that the user side writes into the read-only global `SETTINGS` before the programs are
//! loaded. The verifier treats them as constants, so disabled features cost nothing.

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
    /// 1 if tracing programs may use the helper for the socket cookie (5.12 and later).
    pub has_cookie: u32,
    /// 1 if the helper for the typed current task exists (5.11 and later).
    pub has_task_type: u32,
    /// Padding.
    pub reserved: u32,
    /// Members of `struct sock`.
    pub sock: SockOffsets,
    /// Members that are read when a socket enters the watched state.
    pub entry: EntryOffsets,
    /// Members on the way from a task to its sockets.
    pub task: TaskOffsets,
    /// Fields of the classic tracepoint's record.
    pub tracepoint: TracepointOffsets,
    /// The filter by socket.
    pub filter: KernelFilter,
    /// Settings that only logs and histograms need.
    pub track: TrackSettings,
    /// Settings that only histograms need.
    pub hist: HistSettings,
}

/// Settings that only logs and histograms need.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackSettings {
    /// The reader is woken when this many bytes wait in the ring buffer.
    pub wake_bytes: u64,
    /// The filter's control group, or 0 for all.
    pub cgroup: u64,
    /// The depth of that group below the root, or [`Self::BY_LIST`].
    pub cgroup_level: u32,
    /// A bit for each state, by number: only transitions into or out of one of them; 0 for all.
    pub states: u32,
    /// 1 when only sockets of the processes in the map `PIDS` are wanted.
    pub by_pid: u32,
    /// 1 when sockets are kept in the preallocated map.
    pub preallocated: u32,
    /// 1 when accepts are detected. Then a socket with a descriptor and without a detected accept
    /// has an unknown owner.
    pub sees_accept: u32,
    /// How many of `comms` are in use.
    pub comm_count: u32,
    /// 1 when the descendants of the processes in `PIDS` are wanted, too.
    pub children: u32,
    /// Padding.
    pub reserved: u32,
    /// The name that tcptrace runs under, NUL-padded. While it looks at a descriptor it holds the file, so
    /// that the end of another process's `close` may fall to it. 0 if not known.
    pub own_comm: [u64; 2],
    /// Names of processes, NUL-padded; one of them must match.
    pub comms: [[u64; 2]; MAX_COMMS],
}

impl TrackSettings {
    /// The kernel cannot look up the ancestors of a group: the groups on the list are wanted.
    pub const BY_LIST: u32 = u32::MAX;
}

/// Settings that only histograms need.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistSettings {
    /// A bit for each state, by number, in which durations are counted; 0 for a log.
    pub states: u32,
    /// The parts of the key: bits of [`HistKey`](crate::HistKey).
    pub by: u32,
    /// 1 when nothing depends on owners, so that only sockets in those states are kept.
    pub without_owners: u32,
    /// Padding.
    pub reserved: u32,
}

/// Byte offsets of members of `struct sock` and of the structs that it points to. All are 0 if the
/// kernel has no BTF; then only the classic tracepoint works.
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
    /// Only logs use the following members. If one is 0, they work with less.
    pub skc_cookie: u32,
    pub sk_socket: u32,
    pub inet_sport: u32,
    pub tsq_node: u32,
    /// These four are 0 unless the kernel has all of them.
    pub sk_err: u32,
    pub skc_flags: u32,
    pub sk_lock_owned: u32,
    pub sk_shutdown: u32,
    /// Of a subflow of MPTCP. All four are 0 where the kernel lacks one.
    pub icsk_ulp_ops: u32,
    pub icsk_ulp_data: u32,
    /// Of `struct tcp_ulp_ops`: `name`.
    pub ulp_name: u32,
    /// Of `struct mptcp_subflow_context`: `conn`.
    pub subflow_conn: u32,
    /// Of `struct mptcp_sock`: `first`, or 0.
    pub mptcp_first: u32,
}

/// Byte offsets of members of `struct tcp_sock` and of the structs that it begins with. All are 0 unless the
/// kernel has all of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is named for the kernel's member.
pub struct EntryOffsets {
    pub icsk_lrcvtime: u32,
    pub lsndtime: u32,
    pub bytes_received: u32,
    pub bytes_acked: u32,
    pub rcv_nxt: u32,
    pub copied_seq: u32,
}

/// Whose numbers processes and threads get: those of the PID namespace that tcptrace runs in.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidNumbers {
    /// Inode number of that namespace; 0 for the initial one, whose numbers are in the task itself.
    pub namespace: u32,
    /// How many namespaces it is nested in.
    pub level: u32,
    /// Offset of `thread_pid` in `struct task_struct`. If this is 0 and `namespace` is not, no process
    /// gets a number.
    pub thread_pid: u32,
    /// Offset of `level` in `struct pid`.
    pub pid_level: u32,
    /// Offset in `struct pid` of its number in a namespace of that level: `numbers[level].nr`.
    pub number: u32,
    /// Likewise of the namespace itself: `numbers[level].ns`.
    pub number_ns: u32,
    /// Offset of `ns.inum` in `struct pid_namespace`.
    pub ns_inum: u32,
    /// Padding.
    pub reserved: u32,
}

/// Byte offsets of members on the way from `struct task_struct` to `struct sock`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is named for the kernel's type and member.
pub struct TaskOffsets {
    /// Whose numbers processes and threads get.
    pub numbers: PidNumbers,
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
    /// Only logs use the following members.
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

/// The filter by socket; a part that is 0 lets everything pass.
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
    /// Ports; the local or the remote port must match one of them.
    pub ports: [u16; MAX_PORTS],
    /// Prefixes; one of them must contain the remote address.
    pub remotes: [Prefix; MAX_REMOTES],
}

/// A range of addresses in the common form, in network order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The first address.
    pub address: [u64; 2],
    /// The mask: 1 for each bit that must match.
    pub mask: [u64; 2],
}

// SAFETY: only integers without padding (checked below), so every byte is defined.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Settings {}

const _: () =
    assert!(size_of::<KernelFilter>() == 16 + 2 * MAX_PORTS + MAX_REMOTES * size_of::<Prefix>());
const _: () = assert!(
    size_of::<Settings>()
        == 16
            + size_of::<SockOffsets>()
            + size_of::<EntryOffsets>()
            + size_of::<TaskOffsets>()
            + size_of::<TracepointOffsets>()
            + size_of::<KernelFilter>()
            + size_of::<TrackSettings>()
            + size_of::<HistSettings>()
);

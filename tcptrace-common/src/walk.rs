//! The walk over descriptors: what it writes, and its settings.

use crate::{SockOffsets, TaskOffsets};

/// One descriptor of a socket of interest, or a socket that waits in an accept queue.
///
/// Members that this kernel does not have are 0; [`TcpOffsets`] says which ones.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketRecord {
    /// Address of its `struct sock`: tells sockets apart within one walk.
    pub sock: u64,
    /// Of an MPTCP connection: the address of its first subflow, or 0. What follows about queues and
    /// times is the subflow's, unless it says otherwise.
    pub subflow: u64,
    /// The cookie, or 0 if nothing has asked the kernel for it yet.
    pub cookie: u64,
    /// Inode number, as in `socket:[…]`; 0 for a socket that no process has accepted.
    pub inode: u64,
    /// Id of the control group that created it.
    pub cgroup: u64,
    /// When the record was written, in ns of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
    /// The last time that anything touched the connection, in µs of `CLOCK_MONOTONIC`
    /// (`tcp_mstamp`).
    pub touched_us: u64,
    /// Local address in the common form.
    pub local: [u64; 2],
    /// Remote address in the common form.
    pub remote: [u64; 2],
    /// Bytes received from the peer; of MPTCP the connection's.
    pub bytes_received: u64,
    /// Sequence numbers that the peer has acknowledged: a SYN that this end sent counts, too.
    pub bytes_acked: u64,
    /// Bytes of data sent, those sent again included.
    pub bytes_sent: u64,
    /// Bytes of data sent again.
    pub bytes_retrans: u64,
    /// `sk_flags`.
    pub sock_flags: u64,
    /// Name of the process's main thread, NUL-padded; it may contain any bytes.
    pub comm: [u64; 2],
    /// The process that has it open, as the initial PID namespace numbers it.
    pub pid: u32,
    /// The thread, if it has a table of descriptors of its own; otherwise 0.
    pub tid: u32,
    /// The descriptor's number.
    pub fd: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The interface that the socket is bound to, or 0.
    pub bound_interface: u32,
    /// The user that created it.
    pub uid: u32,
    /// The next sequence number expected from the peer. This and the other numbers except `snd_nxt` are
    /// those of the connection, of MPTCP their lower halves.
    pub rcv_nxt: u32,
    /// The next sequence number that the process will read.
    pub copied_seq: u32,
    /// The sequence number after the last byte that the process has written.
    pub write_seq: u32,
    /// The first sequence number that the peer has not acknowledged.
    pub snd_una: u32,
    /// The next sequence number to be sent.
    pub snd_nxt: u32,
    /// Ticks since the last acknowledgment arrived.
    pub ticks_since_ack: u32,
    /// Ticks since the last data arrived.
    pub ticks_since_data: u32,
    /// Of a listener: connections that wait to be accepted.
    pub queued: u32,
    /// The backlog given to `listen()`; connections inherit it from their listener.
    pub backlog: u32,
    /// `sk_err`: the error that the process has not been told yet.
    pub error: u32,
    /// Ticks since the last data was sent (`lsndtime`).
    pub ticks_since_sent: u32,
    /// Ticks until the keepalive timer runs out, as a number with a sign: it may be late.
    pub ticks_to_keepalive: u32,
    /// Segments with data that came in (`data_segs_in`).
    pub data_segments_in: u32,
    /// Segments with data that went out, those sent again included (`data_segs_out`).
    pub data_segments_out: u32,
    /// [`AF_INET`](crate::AF_INET) or [`AF_INET6`](crate::AF_INET6).
    pub family: u16,
    /// `IPPROTO_TCP` or `IPPROTO_MPTCP`.
    pub protocol: u16,
    /// The local port; 0 once the socket is closed.
    pub local_port: u16,
    /// The remote port.
    pub remote_port: u16,
    /// The local port, which stays when the socket is closed.
    pub bound_port: u16,
    /// [`TcpState`](crate::TcpState) number.
    pub state: u8,
    /// `enum socket_state` of `include/uapi/linux/net.h`: [`Self::UNCONNECTED`] and so on.
    pub socket_state: u8,
    /// `icsk_pending`: the timer that waits for the peer.
    pub pending: u8,
    /// 1 if the keepalive timer runs.
    pub keepalive_timer: u8,
    /// Of MPTCP: how many subflows there are.
    pub subflows: u8,
    /// Of MPTCP: 1 if the peer connected.
    pub server_side: u8,
    /// `icsk_backoff`: how often the timer that waits for the peer was doubled.
    pub backoff: u8,
    /// Padding.
    pub reserved: [u8; 7],
}

impl SocketRecord {
    /// `SS_UNCONNECTED`.
    pub const UNCONNECTED: u8 = 1;
    /// `SS_CONNECTING`.
    pub const CONNECTING: u8 = 2;
    /// `SS_CONNECTED`.
    pub const CONNECTED: u8 = 3;
    /// Bit of `sk_flags`: the peer's FIN has come (`SOCK_DONE`, `include/net/sock.h`).
    pub const DONE: u64 = 1 << 1;
    /// Bit of `sk_flags`: `SO_KEEPALIVE` is on (`SOCK_KEEPOPEN`, `include/net/sock.h`).
    pub const KEEPOPEN: u64 = 1 << 3;
}

/// One descriptor of a TCP socket, as a walk writes it that only counts: [`WalkSettings::brief`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BriefRecord {
    /// Address of its `struct sock`.
    pub sock: u64,
    /// Of an MPTCP connection: the address of its first subflow, or 0.
    pub subflow: u64,
    /// Local address in the common form.
    pub local: [u64; 2],
    /// Remote address in the common form.
    pub remote: [u64; 2],
    /// Id of the control group that created it, if these are wanted.
    pub cgroup: u64,
    /// Name of the process's main thread, NUL-padded; it may contain any bytes.
    pub comm: [u64; 2],
    /// The process.
    pub pid: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Of a listener: connections that wait to be accepted.
    pub queued: u32,
    /// Of a listener: requests for connections, which are no sockets yet.
    pub half_open: u32,
    /// The local port, which stays when the socket is closed.
    pub local_port: u16,
    /// The remote port.
    pub remote_port: u16,
    /// [`AF_INET`](crate::AF_INET) or [`AF_INET6`](crate::AF_INET6).
    pub family: u16,
    /// [`TcpState`](crate::TcpState) number.
    pub state: u8,
    /// The constants below.
    pub flags: u8,
}

impl BriefRecord {
    /// No other descriptor refers to the socket.
    pub const ALONE: u8 = 1;
    /// It came from a listener.
    pub const SERVER: u8 = 1 << 1;
    /// It connected.
    pub const CLIENT: u8 = 1 << 2;
    /// It is an MPTCP connection or listener.
    pub const MPTCP: u8 = 1 << 3;
    /// It was connected: if it is closed, it is residue.
    pub const CONNECTED: u8 = 1 << 4;
}

/// A socket that more than one descriptor or system call refers to: it may be met again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedSocket {
    /// Address of its `struct sock`.
    pub sock: u64,
    /// Which entry of the counts its namespace has.
    pub netns_index: u32,
    /// [`TcpState`](crate::TcpState) number.
    pub state: u32,
}

/// The sockets of a network namespace that only one descriptor refers to, by state.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetnsCounts {
    /// The namespace's inode number.
    pub netns: u32,
    /// A process that has one of its sockets open.
    pub pid: u32,
    /// The thread, if it has a table of descriptors of its own; otherwise 0.
    pub tid: u32,
    /// The socket's descriptor.
    pub fd: u32,
    /// By the state's number.
    pub states: [u32; 16],
}

/// The progress of a walk. The user side resets it before each walk, and `more` before each pass.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkState {
    /// The number of this walk, never 0: what earlier walks left in the maps is not valid.
    pub walk: u64,
    /// Address of the last socket's network namespace.
    pub net: u64,
    /// Its place among the counts.
    pub net_index: u32,
    /// Descriptors that belong into the records: more than there is room for, if they did not fit.
    pub records: u32,
    /// The same for shared sockets.
    pub shared: u32,
    /// The same for namespaces.
    pub namespaces: u32,
    /// 1 in passes after the first one, which only continue where earlier ones stopped.
    pub later_pass: u32,
    /// Set to 1 when some process has descriptors left for the next pass.
    pub more: u32,
    /// How often there was no room to remember something: then descriptors may be missing, or
    /// sockets are counted more than once.
    pub cut_short: u32,
    /// Tables of descriptors.
    pub tables: u32,
    /// 1 if Unix sockets are of interest in which descriptors wait.
    pub unix: u32,
    /// Padding.
    pub reserved: u32,
}

/// A table of descriptors in a walk.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkedTable {
    /// The walk that met it.
    pub walk: u64,
    /// The thread that was the first to be met with it.
    pub tid: u32,
    /// That thread's process.
    pub pid: u32,
}

/// Where a pass stopped in a thread's table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// The walk.
    pub walk: u64,
    /// The next descriptor.
    pub fd: u32,
    /// Padding.
    pub reserved: u32,
}

/// A namespace's place among the counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetnsIndex {
    /// The walk.
    pub walk: u64,
    /// The index.
    pub index: u32,
    /// Padding.
    pub reserved: u32,
}

/// One step along the accept queue of a listener: what the program was asked and answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStep {
    /// The request at the queue's head after everything else was read; 0 if it is empty.
    pub head: u64,
    /// The request after this one; 0 for the last.
    pub next: u64,
    /// The listener that the request belongs to.
    pub listener: u64,
    /// The listener's state, see [`TcpState`](crate::TcpState).
    pub state: u32,
    /// How many connections wait.
    pub queued: u32,
    /// The connection.
    pub child: SocketRecord,
}

/// One step along the messages in a Unix socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageStep {
    /// The first message after everything else was read.
    pub first: u64,
    /// The message after this one; the address of the queue for the last.
    pub next: u64,
    /// The address of the queue.
    pub queue: u64,
    /// Inode number of the socket that the asked descriptor refers to, 0 if it is none.
    pub inode: u64,
    /// How many descriptors the message has.
    pub descriptors: u32,
    /// Padding.
    pub reserved: u32,
}

/// What is fixed when the walk is loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkSettings {
    /// A bit for each watched [`TcpState`](crate::TcpState), by number.
    pub watched_states: u32,
    /// Room for records.
    pub max_records: u32,
    /// Room for shared sockets.
    pub max_shared: u32,
    /// Room for namespaces.
    pub max_namespaces: u32,
    /// How many readers share the descriptors: 1 or 2.
    pub readers: u32,
    /// Which of them this is, from 0 on.
    pub reader: u32,
    /// 1 if every TCP socket is written as a [`BriefRecord`], and nothing else.
    pub brief: u32,
    /// 1 if these need control groups.
    pub with_cgroups: u32,
    /// Members of `struct sock`.
    pub sock: SockOffsets,
    /// Members on the way from a task to its sockets.
    pub task: TaskOffsets,
    /// Further members.
    pub tcp: TcpOffsets,
}

/// Byte offsets of members that only the walk reads; 0 where the kernel lacks one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each field is named for the kernel's type and member.
pub struct TcpOffsets {
    pub skc_flags: u32,
    pub sk_type: u32,
    pub sk_err: u32,
    pub sk_uid: u32,
    pub sk_ack_backlog: u32,
    pub sk_cgroup: u32,
    pub cgroup_kn: u32,
    pub kernfs_node_id: u32,
    pub socket_state: u32,
    /// `entry.pprev` of the timer that keepalive uses.
    pub keepalive_timer: u32,
    pub icsk_pending: u32,
    pub icsk_lrcvtime: u32,
    pub icsk_accept_head: u32,
    pub request_next: u32,
    pub request_sk: u32,
    pub request_listener: u32,
    pub rcv_nxt: u32,
    pub copied_seq: u32,
    pub write_seq: u32,
    pub snd_una: u32,
    pub snd_nxt: u32,
    pub rcv_tstamp: u32,
    pub tcp_mstamp: u32,
    pub bytes_received: u32,
    pub bytes_acked: u32,
    pub bytes_sent: u32,
    pub bytes_retrans: u32,
    /// The file's count of references.
    pub file_count: u32,
    /// Its value when there is one reference.
    pub file_count_one: u32,
    /// Of `struct unix_sock`: how many descriptors wait in it.
    pub unix_descriptors: u32,
    pub sk_receive_queue: u32,
    /// Of `struct sk_buff`: `cb` and in it, as a Unix socket uses it, the descriptors.
    pub skb_descriptors: u32,
    pub scm_count: u32,
    pub scm_files: u32,
    /// Of `struct mptcp_sock`.
    pub mptcp_server_side: u32,
    pub mptcp_extra_subflows: u32,
    pub mptcp_bytes_received: u32,
    pub mptcp_bytes_consumed: u32,
    pub mptcp_write_seq: u32,
    pub mptcp_snd_una: u32,
    /// How many requests for connections a listener has: half-open connections.
    pub icsk_queue_length: u32,
    pub icsk_backoff: u32,
    /// `expires` of the timer that keepalive uses.
    pub keepalive_expires: u32,
    pub lsndtime: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
}

// SAFETY: only integers without padding (checked below), so every byte is defined.
#[cfg(feature = "user")]
unsafe impl aya::Pod for WalkSettings {}

const _: () = assert!(size_of::<SocketRecord>() == 7 * 8 + 4 * 8 + 5 * 8 + 2 * 8 + 20 * 4 + 24);
const _: () = assert!(size_of::<BriefRecord>() == 2 * 8 + 4 * 8 + 8 + 2 * 8 + 4 * 4 + 8);
const _: () = assert!(size_of::<SharedSocket>() == 16);
const _: () = assert!(size_of::<NetnsCounts>() == 80);
const _: () = assert!(size_of::<WalkState>() == 56);
const _: () = assert!(size_of::<QueueStep>() == 32 + size_of::<SocketRecord>());
const _: () = assert!(
    size_of::<WalkSettings>()
        == 32 + size_of::<SockOffsets>() + size_of::<TaskOffsets>() + size_of::<TcpOffsets>()
);

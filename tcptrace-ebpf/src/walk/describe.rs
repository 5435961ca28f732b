//! Everything about a socket that its `struct sock` says.

use aya_ebpf::helpers::{bpf_ktime_get_ns, generated::bpf_jiffies64};
use tcptrace_common::{AF_INET6, IPPROTO_MPTCP, SocketRecord};

use crate::{memory::peek, settings::setting};

/// The member at the offset of this name, 0 where the kernel lacks it.
macro_rules! member {
    ($base:expr, $($name:tt)+) => {
        match setting!($($name)+) {
            0 => Default::default(),
            offset => peek($base, offset),
        }
    };
}
pub(crate) use member;

/// Fills in everything that does not come from a descriptor.
#[inline(always)]
pub fn describe(sock: *const u8, record: &mut SocketRecord) {
    record.sock = sock as u64;
    describe_ends(sock, record);
    record.protocol = peek(sock, setting!(sock.sk_protocol));
    record.state = peek(sock, setting!(sock.skc_state));
    record.bound_interface = peek(sock, setting!(sock.skc_bound_dev_if));
    let net = peek::<u64>(sock, setting!(sock.skc_net)) as *const u8;
    record.netns = peek(net, setting!(sock.net_inum));
    record.cookie = member!(sock, sock.skc_cookie);
    record.sock_flags = member!(sock, tcp.skc_flags);
    record.uid = member!(sock, tcp.sk_uid);
    record.error = member!(sock, tcp.sk_err);
    record.cgroup = cgroup(sock);
    record.subflow = 0;
    if record.protocol == IPPROTO_MPTCP {
        describe_mptcp(sock, record);
    } else {
        describe_connection(sock, record);
    }
}

/// Family, addresses and ports.
#[inline(always)]
pub fn describe_ends(sock: *const u8, record: &mut SocketRecord) {
    record.family = peek(sock, setting!(sock.skc_family));
    if record.family == AF_INET6 {
        record.local = peek(sock, setting!(sock.skc_v6_rcv_saddr));
        record.remote = peek(sock, setting!(sock.skc_v6_daddr));
    } else {
        record.local = v4_mapped(peek(sock, setting!(sock.skc_rcv_saddr)));
        record.remote = v4_mapped(peek(sock, setting!(sock.skc_daddr)));
    }
    record.local_port = peek(sock, setting!(sock.skc_num));
    record.remote_port = u16::from_be(peek(sock, setting!(sock.skc_dport)));
    record.bound_port = u16::from_be(member!(sock, sock.inet_sport));
}

/// An MPTCP connection: what is its own, and the rest from its first subflow.
#[inline(always)]
fn describe_mptcp(sock: *const u8, record: &mut SocketRecord) {
    let first: u64 = member!(sock, sock.mptcp_first);
    describe_connection(first as *const u8, record);
    record.subflow = first;
    let more: u8 = member!(sock, tcp.mptcp_extra_subflows);
    record.subflows = more.wrapping_add(u8::from(first != 0));
    record.server_side = member!(sock, tcp.mptcp_server_side);
    record.bytes_received = member!(sock, tcp.mptcp_bytes_received);
    let consumed: u64 = member!(sock, tcp.mptcp_bytes_consumed);
    let (written, acked): (u64, u64) = (
        member!(sock, tcp.mptcp_write_seq),
        member!(sock, tcp.mptcp_snd_una),
    );
    record.rcv_nxt = record.bytes_received as u32;
    record.copied_seq = consumed as u32;
    record.write_seq = written as u32;
    record.snd_una = acked as u32;
}

#[inline(always)]
fn describe_connection(sock: *const u8, record: &mut SocketRecord) {
    record.queued = member!(sock, tcp.sk_ack_backlog);
    record.backlog = peek(sock, setting!(sock.sk_max_ack_backlog));
    record.rcv_nxt = member!(sock, tcp.rcv_nxt);
    record.copied_seq = member!(sock, tcp.copied_seq);
    record.write_seq = member!(sock, tcp.write_seq);
    record.snd_una = member!(sock, tcp.snd_una);
    record.snd_nxt = member!(sock, tcp.snd_nxt);
    record.bytes_received = member!(sock, tcp.bytes_received);
    record.bytes_acked = member!(sock, tcp.bytes_acked);
    record.bytes_sent = member!(sock, tcp.bytes_sent);
    record.bytes_retrans = member!(sock, tcp.bytes_retrans);
    record.touched_us = member!(sock, tcp.tcp_mstamp);
    record.pending = member!(sock, tcp.icsk_pending);
    let timer: u64 = member!(sock, tcp.keepalive_timer);
    record.keepalive_timer = u8::from(timer != 0);
    record.backoff = member!(sock, tcp.icsk_backoff);
    record.data_segments_in = member!(sock, tcp.data_segs_in);
    record.data_segments_out = member!(sock, tcp.data_segs_out);
    let (ack, data, sent): (u32, u32, u32) = (
        member!(sock, tcp.rcv_tstamp),
        member!(sock, tcp.icsk_lrcvtime),
        member!(sock, tcp.lsndtime),
    );
    let expires: u64 = member!(sock, tcp.keepalive_expires);
    // SAFETY: the helpers take nothing and only read clocks.
    let (jiffies, now_ns) = unsafe { (bpf_jiffies64() as u32, bpf_ktime_get_ns()) };
    record.now_ns = now_ns;
    record.ticks_since_ack = jiffies.wrapping_sub(ack);
    record.ticks_since_data = jiffies.wrapping_sub(data);
    record.ticks_since_sent = jiffies.wrapping_sub(sent);
    record.ticks_to_keepalive = (expires as u32).wrapping_sub(jiffies);
}

/// The id of the control group that created the socket.
#[inline(always)]
pub fn cgroup(sock: *const u8) -> u64 {
    let offset = setting!(tcp.sk_cgroup);
    if offset == 0 {
        return 0;
    }
    let group = peek::<u64>(sock, offset);
    // Up to 5.15 other data may stand in its place, which bit 0 marks (`struct sock_cgroup_data`).
    if group & 1 != 0 {
        return 0;
    }
    let node = peek::<u64>(group as *const u8, setting!(tcp.cgroup_kn)) as *const u8;
    peek(node, setting!(tcp.kernfs_node_id))
}

/// An IPv4 address, as it is in memory, in its v4-mapped IPv6 form.
#[inline(always)]
pub fn v4_mapped(address: u32) -> [u64; 2] {
    let prefix = 0xffff_u32.to_be();
    // Both sides have the same byte order, so the halves are joined as in memory.
    if cfg!(target_endian = "little") {
        [0, u64::from(prefix) | u64::from(address) << 32]
    } else {
        [0, u64::from(prefix) << 32 | u64::from(address)]
    }
}

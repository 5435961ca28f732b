//! What a walk writes about a socket that it only counts: as little as can be, for there may be very many.

use tcptrace_common::{AF_INET6, BriefRecord, IPPROTO_MPTCP, SocketRecord, TcpState};

use crate::{
    describe::{cgroup, member, v4_mapped},
    descriptor::Head,
    memory::peek,
    output::{next_brief, state},
    place::Place,
    settings::setting,
};

/// Writes the record. `sock` has begun to be read as `head`.
#[inline(always)]
pub fn write_brief(sock: *const u8, head: &Head, file: *const u8, protocol: u16, place: &Place) {
    let Some(record) = state().and_then(next_brief) else {
        return;
    };
    // SAFETY: the entry is in the map, and one reader at a time runs a walk.
    let record: &mut BriefRecord = unsafe { &mut *record };
    record.sock = sock as u64;
    record.family = head.get(sock, setting!(sock.skc_family));
    record.state = head.get(sock, setting!(sock.skc_state));
    record.local_port = head.get(sock, setting!(sock.skc_num));
    record.remote_port = u16::from_be(head.get(sock, setting!(sock.skc_dport)));
    if record.family == AF_INET6 {
        record.local = peek(sock, setting!(sock.skc_v6_rcv_saddr));
        record.remote = peek(sock, setting!(sock.skc_v6_daddr));
    } else {
        record.local = v4_mapped(head.get(sock, setting!(sock.skc_rcv_saddr)));
        record.remote = v4_mapped(head.get(sock, setting!(sock.skc_daddr)));
    }
    let net: u64 = head.get(sock, setting!(sock.skc_net));
    record.netns = peek(net as *const u8, setting!(sock.net_inum));
    record.cgroup = if setting!(with_cgroups) != 0 {
        cgroup(sock)
    } else {
        0
    };
    record.comm = peek(place.leader as *const u8, setting!(task.task_comm));
    record.pid = (place.ids >> 32) as u32;
    let alone = peek::<u32>(file, setting!(tcp.file_count)) == setting!(tcp.file_count_one);
    record.flags = if alone { BriefRecord::ALONE } else { 0 };
    record.subflow = 0;
    let mut tcp = sock;
    if protocol == IPPROTO_MPTCP {
        record.subflow = member!(sock, sock.mptcp_first);
        record.flags |= BriefRecord::MPTCP;
        tcp = record.subflow as *const u8;
    }
    (record.queued, record.half_open) = (0, 0);
    if record.state == TcpState::Listen.number() {
        record.queued = member!(tcp, tcp.sk_ack_backlog);
        record.half_open = member!(tcp, tcp.icsk_queue_length);
    } else if record.state == TcpState::Close.number() {
        record.local_port = u16::from_be(member!(sock, sock.inet_sport));
        let socket = peek::<u64>(file, setting!(task.file_private_data)) as *const u8;
        if peek::<u32>(socket, setting!(tcp.socket_state)) == u32::from(SocketRecord::CONNECTED) {
            record.flags |= BriefRecord::CONNECTED;
        }
    } else if protocol == IPPROTO_MPTCP {
        let server: u8 = member!(sock, tcp.mptcp_server_side);
        record.flags |= match server {
            0 => BriefRecord::CLIENT,
            _ => BriefRecord::SERVER,
        };
    } else {
        record.flags |= role(sock, record.state);
    }
}

/// Which side of its connection a socket is. A backlog shows a server: it is inherited. Otherwise the
/// numbers tell: a client's SYN is among those that were acknowledged, or are on their way.
#[inline(always)]
fn role(sock: *const u8, state: u8) -> u8 {
    if state == TcpState::SynSent.number() {
        return BriefRecord::CLIENT;
    }
    if peek::<u32>(sock, setting!(sock.sk_max_ack_backlog)) != 0 {
        return BriefRecord::SERVER;
    }
    let (sent, again, acked): (u64, u64, u64) = (
        member!(sock, tcp.bytes_sent),
        member!(sock, tcp.bytes_retrans),
        member!(sock, tcp.bytes_acked),
    );
    let (next, first): (u32, u32) = (member!(sock, tcp.snd_nxt), member!(sock, tcp.snd_una));
    let written: u32 = member!(sock, tcp.write_seq);
    let open = state == TcpState::Established.number() || state == TcpState::CloseWait.number();
    let fin = u64::from(!open && written == next);
    let numbers = acked.wrapping_add(next.wrapping_sub(first).into());
    match numbers
        .wrapping_sub(sent.wrapping_sub(again))
        .wrapping_sub(fin)
    {
        0 => BriefRecord::SERVER,
        1 => BriefRecord::CLIENT,
        _ => 0,
    }
}

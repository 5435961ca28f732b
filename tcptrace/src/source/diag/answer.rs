//! Parsing answers of `sock_diag` (`include/uapi/linux/inet_diag.h`).

use bytes::{Buf, Bytes};
use netlink_packet_core::{NLMSG_DONE, NLMSG_ERROR, Nla as _, Parseable as _};
use netlink_packet_sock_diag::{
    SOCK_DIAG_BY_FAMILY,
    inet::{InetResponse, nlas::Nla},
};
use tcptrace_common::TcpState;

use crate::{
    model::{
        socket::{Details, Endpoint, Family, Protocol, Timer},
        stuck::look::{Listed, Listening},
    },
    source::diag::{
        request::{GETSOCK, HEADER},
        tcp_info::{
            ReadAt, due_ns, first_syn, info, member_u32, member_u64, moment_ns, not_before_ns, sent,
        },
    },
};

/// `INET_DIAG_ULP_INFO`: the protocol on top of TCP; the kernel requires `CAP_NET_ADMIN` for it.
const ULP_INFO: u16 = 19;
/// `INET_DIAG_CGROUP_ID`, since 5.8.
const CGROUP_ID: u16 = 21;
/// `INET_DIAG_SOCKOPT`: `struct inet_diag_sockopt`, two bytes of bits.
const SOCKOPT: u16 = 22;

/// One message of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A socket.
    Socket(Box<InetResponse>),
    /// A request found nothing or failed, with this `errno`.
    Error(i32),
    /// The dump is complete.
    Done,
    /// Not relevant, or not understood.
    Other,
}

/// Takes the next message from a datagram; `None` at its end. A truncated or broken message also
/// ends it.
pub fn next_answer(datagram: &mut Bytes) -> Option<Answer> {
    let length = datagram.get(..4)?.get_u32_ne() as usize;
    if length < HEADER || length > datagram.len() {
        return None;
    }
    let mut message = datagram.split_to(length);
    // Messages begin at multiples of 4.
    datagram.advance((length.next_multiple_of(4) - length).min(datagram.len()));
    message.advance(4);
    let kind = message.get_u16_ne();
    message.advance(HEADER - 6);
    Some(match kind {
        NLMSG_DONE => Answer::Done,
        NLMSG_ERROR => match message.try_get_i32_ne() {
            Ok(error) => Answer::Error(error.saturating_neg()),
            Err(_) => Answer::Other,
        },
        GETSOCK | SOCK_DIAG_BY_FAMILY => match InetResponse::parse(&message) {
            Ok(socket) => Answer::Socket(Box::new(socket)),
            Err(_) => Answer::Other,
        },
        _ => Answer::Other,
    })
}

fn endpoints(response: &InetResponse) -> Option<(Family, Endpoint, Endpoint)> {
    let id = &response.header.socket_id;
    let end = |address, port| Endpoint { address, port };
    let family = match response.header.family {
        netlink_packet_sock_diag::AF_INET => Family::Ipv4,
        netlink_packet_sock_diag::AF_INET6 => Family::Ipv6,
        _ => return None,
    };
    Some((
        family,
        end(id.source_address, id.source_port),
        end(id.destination_address, id.destination_port),
    ))
}

/// The socket in an answer, or what the kernel keeps of a closed one ([`Details::remainder`]), which it
/// lists under the state before; `None` for a subflow of MPTCP, and for a socket that was closed while the
/// kernel listed it: it gives its port back before it leaves its state (`tcp_set_state`).
#[must_use]
pub fn listed(response: &InetResponse, protocol: Protocol, read: ReadAt) -> Option<Listed> {
    use netlink_packet_sock_diag::inet::Timer as Wire;
    let (family, local, remote) = endpoints(response)?;
    if local.port == 0 {
        return None;
    }
    let header = &response.header;
    let remainder = matches!(header.timer, Some(Wire::TimeWait));
    let is_mptcp = protocol == Protocol::Mptcp;
    let timer = match header.timer {
        Some(Wire::TimeWait) => None,
        Some(Wire::Retransmit(..)) => Some(Timer::Retransmit),
        Some(Wire::KeepAlive(_)) => Some(Timer::Keepalive),
        Some(Wire::Probe(_)) => Some(Timer::ZeroWindowProbe),
        None => Some(Timer::None),
    };
    // Of the whole connection the kernel gives the memory that it takes, and not its data.
    let queue = |bytes: u32| (!is_mptcp).then_some(bytes);
    let mut tcp_info: &[u8] = &[];
    let mut cgroup_id = None;
    for attribute in &response.nlas {
        match attribute {
            Nla::TcpInfo(info) => {
                tcp_info = info;
            }
            Nla::Other(other) if other.kind() == CGROUP_ID => {
                let mut value = [0; 8];
                if other.value_len() == value.len() {
                    other.emit_value(&mut value);
                    cgroup_id = Some(u64::from_ne_bytes(value)).filter(|id| *id != 0);
                }
            }
            Nla::Other(other) if other.kind() == ULP_INFO => {
                let mut value = vec![0; other.value_len()];
                other.emit_value(&mut value);
                // The name is among the nested attributes.
                if value.windows(6).any(|window| window == b"mptcp\0") {
                    return None;
                }
            }
            _ => {}
        }
    }
    let ago = |at| member_u32(tcp_info, at).map(|ms| moment_ns(ms, read));
    let not_before = |at| member_u32(tcp_info, at).map(|ms| not_before_ns(ms, read));
    Some(Listed {
        netns: read.netns,
        // The kernel gives MPTCP connections that of their listener.
        cookie: (!is_mptcp).then_some(u64::from_ne_bytes(header.socket_id.cookie)),
        interface: header.socket_id.interface_id,
        protocol,
        family,
        local,
        remote,
        state: TcpState::from_number(header.state)?,
        listed_ns: read.monotonic_ns,
        last_ack_ns: ago(info::LAST_ACK_RECV),
        data_not_before_ns: not_before(info::LAST_DATA_RECV),
        sent_not_before_ns: not_before(info::LAST_DATA_SENT),
        first_syn: (header.state == TcpState::SynSent.number())
            .then(|| first_syn(header.timer.as_ref(), tcp_info, read))
            .flatten(),
        backlog: None,
        sent: sent(tcp_info, header.send_queue),
        server_side: None,
        details: Details {
            inode: header.inode,
            uid: header.uid,
            recv_queue: queue(header.recv_queue),
            send_queue: queue(header.send_queue),
            timer: timer.filter(|_| !is_mptcp),
            // While another timer runs, that of keepalive cannot be seen.
            keepalive: match timer {
                // The timer of an orphan is another one.
                _ if header.inode == 0 => None,
                Some(Timer::Keepalive) => Some(true),
                Some(Timer::None) if !is_mptcp => Some(false),
                _ => None,
            },
            bytes_received: member_u64(tcp_info, info::BYTES_RECEIVED),
            bytes_acked: member_u64(tcp_info, info::BYTES_ACKED),
            last_data_ns: ago(info::LAST_DATA_RECV),
            touched_ns: None,
            // Before it is connected the kernel has no such time.
            last_sent_ns: ago(info::LAST_DATA_SENT)
                .filter(|_| header.state != TcpState::SynSent.number()),
            data_segments_in: member_u32(tcp_info, info::DATA_SEGS_IN),
            data_segments_out: member_u32(tcp_info, info::DATA_SEGS_OUT),
            backoff: tcp_info.get(info::BACKOFF).copied(),
            keepalive_due_ns: match header.timer {
                // The timer of an orphan is another one.
                Some(Wire::KeepAlive(left)) if header.inode != 0 => due_ns(left, read),
                _ => None,
            },
            cgroup_id,
            subflows: None,
            remainder,
        },
    })
}

/// The listener in an answer.
#[must_use]
pub fn listening(response: &InetResponse, netns: u32) -> Option<Listening> {
    let (_, local, _) = endpoints(response)?;
    let header = &response.header;
    let v6_only = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::SkV6Only(only) => Some(*only),
        _ => None,
    });
    let transparent = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::Other(other) if other.kind() == SOCKOPT && other.value_len() >= 2 => {
            let mut value = vec![0; other.value_len()];
            other.emit_value(&mut value);
            // `recverr`, `is_icsk`, `freebind`, `hdrincl`, `mc_loop`, `transparent`, … one bit each.
            Some(value[0] & 1 << 5 != 0)
        }
        _ => None,
    });
    (header.state == TcpState::Listen.number()).then_some(Listening {
        netns,
        interface: header.socket_id.interface_id,
        transparent,
        local,
        v6_only,
        inode: header.inode,
        queued: header.recv_queue,
        backlog: header.send_queue,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::{BufMut, BytesMut};
    use netlink_packet_core::{
        DefaultNla, Emitable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    };
    use netlink_packet_sock_diag::{
        SockDiagMessage,
        inet::{InetResponseHeader, SocketId, Timer},
    };
    use proptest::prelude::*;

    use super::*;

    const READ: ReadAt = ReadAt {
        netns: 7,
        asked_ns: 100_000_000_000,
        monotonic_ns: 100_000_000_000,
        tick_ns: 4_000_000,
    };

    fn tcp(response: &InetResponse) -> Option<Listed> {
        listed(response, Protocol::Tcp, READ)
    }

    fn response() -> InetResponse {
        let mut values = vec![0; 232];
        values[info::LAST_ACK_RECV..info::LAST_ACK_RECV + 4]
            .copy_from_slice(&5000u32.to_ne_bytes());
        for (at, value) in [
            (info::LAST_DATA_SENT, 2000u32),
            (info::DATA_SEGS_IN, 3),
            (info::DATA_SEGS_OUT, 4),
        ] {
            values[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        values[info::BACKOFF] = 5;
        let cgroup = DefaultNla::new(CGROUP_ID, 77u64.to_ne_bytes().to_vec());
        InetResponse {
            header: InetResponseHeader {
                family: netlink_packet_sock_diag::AF_INET,
                state: TcpState::CloseWait.number(),
                timer: Some(Timer::KeepAlive(Duration::from_millis(7500))),
                socket_id: SocketId {
                    source_port: 80,
                    destination_port: 4000,
                    source_address: [10, 0, 0, 1].into(),
                    destination_address: [10, 0, 0, 2].into(),
                    interface_id: 3,
                    cookie: 42u64.to_ne_bytes(),
                },
                recv_queue: 1,
                send_queue: 0,
                uid: 1000,
                inode: 99,
            },
            nlas: [Nla::TcpInfo(values), Nla::Other(cgroup)]
                .into_iter()
                .collect(),
        }
    }

    fn message() -> BytesMut {
        let mut header = NetlinkHeader::default();
        header.sequence_number = 5;
        let payload = SockDiagMessage::InetResponse(Box::new(response()));
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
        message.finalize();
        let mut buffer = BytesMut::zeroed(message.buffer_len());
        message.serialize(&mut buffer);
        buffer
    }

    #[test]
    fn an_answer_is_read_whole() {
        let mut datagram = message();
        datagram.extend_from_slice(&message());
        let mut datagram = datagram.freeze();
        let Some(Answer::Socket(first)) = next_answer(&mut datagram) else {
            panic!("a socket was sent");
        };
        let socket = tcp(&first).expect("a whole socket");
        assert_eq!(
            (socket.netns, socket.cookie, socket.interface),
            (7, Some(42), 3)
        );
        assert_eq!((socket.local.port, socket.remote.port), (80, 4000));
        assert_eq!(socket.local.address.to_string(), "10.0.0.1");
        assert_eq!(socket.details.cgroup_id, Some(77));
        // 5 s ago less a tick.
        assert_eq!(socket.last_ack_ns, Some(95_004_000_000));
        let details = socket.details;
        assert_eq!(details.last_sent_ns, Some(98_004_000_000));
        assert_eq!(
            (details.data_segments_in, details.data_segments_out),
            (Some(3), Some(4))
        );
        assert_eq!(details.backoff, Some(5));
        assert_eq!(details.keepalive_due_ns, Some(107_500_000_000));
        assert!(matches!(
            next_answer(&mut datagram),
            Some(Answer::Socket(_))
        ));
        assert!(next_answer(&mut datagram).is_none());
    }

    #[test]
    fn the_remains_of_a_closed_socket_are_a_remainder() {
        let mut response = response();
        response.header.timer = Some(Timer::TimeWait);
        let remainder = tcp(&response).expect("it was one");
        assert!(remainder.details.remainder);
        assert_eq!(remainder.details.timer, None);
    }

    #[test]
    fn what_has_given_its_port_back_is_closed() {
        let mut response = response();
        response.header.socket_id.source_port = 0;
        assert_eq!(tcp(&response), None);
    }

    #[test]
    fn a_subflow_is_no_connection_and_a_connection_has_its_own_queues() {
        let mut response = response();
        let whole = listed(&response, Protocol::Mptcp, READ).expect("a connection");
        assert_eq!((whole.protocol, whole.cookie), (Protocol::Mptcp, None));
        assert_eq!(
            (whole.details.recv_queue, whole.details.timer),
            (None, None)
        );
        let ulp = DefaultNla::new(ULP_INFO, b"\x0a\0\x01\0mptcp\0\0\0".to_vec());
        response.nlas = [Nla::Other(ulp)].into_iter().collect();
        assert_eq!(tcp(&response), None);
    }

    #[test]
    fn a_short_tcp_info_leaves_the_age_unknown() {
        let mut response = response();
        response.nlas = [Nla::TcpInfo(vec![0; 20])].into_iter().collect();
        let socket = tcp(&response).expect("a socket");
        assert_eq!(
            (socket.listed_ns, socket.last_ack_ns),
            (READ.monotonic_ns, None)
        );
        let details = socket.details;
        assert_eq!(
            (details.last_sent_ns, details.data_segments_out),
            (None, None)
        );
    }

    #[test]
    fn an_ack_within_the_tick_gives_no_age() {
        assert_eq!(moment_ns(2, READ), READ.monotonic_ns);
    }

    #[test]
    fn cut_off_answers_end_quietly() {
        let whole = message().freeze();
        for length in 0..whole.len() {
            let mut datagram = whole.slice(..length);
            assert!(next_answer(&mut datagram).is_none());
        }
        // A message whose length field is smaller than the message.
        let response = response();
        let mut body = vec![0; response.buffer_len()];
        response.emit(&mut body);
        for length in 0..body.len() {
            let mut datagram = BytesMut::new();
            datagram.put_u32_ne(u32::try_from(16 + length).expect("small"));
            datagram.put_u16_ne(20);
            datagram.put_bytes(0, 10);
            datagram.extend_from_slice(&body[..length]);
            let _ = next_answer(&mut datagram.freeze());
        }
    }

    proptest! {
        #[test]
        fn broken_answers_do_not_panic(
            flips in prop::collection::vec((0usize..400, any::<u8>()), 1..12)
        ) {
            let mut bytes = message();
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            let mut datagram = bytes.freeze();
            while let Some(answer) = next_answer(&mut datagram) {
                if let Answer::Socket(response) = answer {
                    let _ = (tcp(&response), listening(&response, 7));
                }
            }
        }

        #[test]
        fn noise_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut datagram = Bytes::from(bytes);
            while next_answer(&mut datagram).is_some() {}
        }
    }
}

//! `sock_diag` messages: what to ask, and what an answer says (`include/uapi/linux/inet_diag.h`).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, Nla as _, Parseable as _,
};
use netlink_packet_sock_diag::{
    SOCK_DIAG_BY_FAMILY, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use tcptrace_common::{IPPROTO_TCP, TcpState};

use crate::model::{
    socket::{Details, Endpoint, Family, Timer},
    stuck::look::{Entered, Listed, Listening},
};

/// `TCPDIAG_GETSOCK`: the older request, which is for both families at once. Every dump walks the
/// connections of all namespaces, so that asking twice would cost twice as much.
const GETSOCK: u16 = 18;
/// Bytes of a message's header.
const HEADER: usize = 16;
/// Bytes of `struct inet_diag_req`.
const GETSOCK_BYTES: usize = 60;
/// `INET_DIAG_ULP_INFO`: what runs on top of TCP, for those with `CAP_NET_ADMIN`.
const ULP_INFO: u16 = 19;
/// `INET_DIAG_CGROUP_ID`, since 5.8.
const CGROUP_ID: u16 = 21;
/// Where `tcpi_last_ack_recv` (ms) lies in `struct tcp_info`.
const LAST_ACK_RECV: usize = 56;
/// A cookie in a request that any socket matches, `INET_DIAG_NOCOOKIE`.
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// One socket to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its family.
    pub family: Family,
    /// This end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// The interface that it is bound to, or 0.
    pub interface: u32,
    /// Its cookie, where known.
    pub cookie: Option<u64>,
}

impl From<&Listed> for Wanted {
    fn from(socket: &Listed) -> Self {
        Self {
            family: socket.family,
            local: socket.local,
            remote: socket.remote,
            interface: socket.interface,
            cookie: Some(socket.cookie),
        }
    }
}

impl From<&Entered> for Wanted {
    fn from(socket: &Entered) -> Self {
        Self {
            family: socket.family,
            local: socket.local,
            remote: socket.remote,
            interface: socket.interface.unwrap_or(0),
            cookie: socket.cookie,
        }
    }
}

/// When and how an answer was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    /// The namespace that answered.
    pub netns: u32,
    /// A moment no earlier than the kernel's answer, in ns of `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// The kernel's tick, in ns.
    pub tick_ns: u64,
}

/// One message of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A socket.
    Socket(Box<InetResponse>),
    /// A request found nothing or failed, with this `errno`.
    Error(i32),
    /// The dump is complete.
    Done,
    /// Nothing of interest, or nothing that can be understood.
    Other,
}

fn family_number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => netlink_packet_sock_diag::AF_INET,
        Family::Ipv6 => netlink_packet_sock_diag::AF_INET6,
    }
}

fn append(buffer: &mut BytesMut, flags: u16, sequence: u32, request: InetRequest) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = sequence;
    let payload = NetlinkPayload::from(SockDiagMessage::InetRequest(request));
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let start = buffer.len();
    buffer.put_bytes(0, message.buffer_len());
    message.serialize(&mut buffer[start..]);
}

/// A set of states, as requests name them.
#[must_use]
pub fn mask(states: &[TcpState]) -> u32 {
    states
        .iter()
        .fold(0, |mask, state| mask | 1 << state.number())
}

/// Appends a request for all sockets in one of the `states`, in the older form.
#[allow(clippy::cast_possible_truncation)] // a length of 76
pub fn ask_for_both(buffer: &mut BytesMut, states: u32, sequence: u32) {
    buffer.put_u32_ne((HEADER + GETSOCK_BYTES) as u32);
    buffer.put_u16_ne(GETSOCK);
    buffer.put_u16_ne(NLM_F_REQUEST | NLM_F_DUMP);
    buffer.put_u32_ne(sequence);
    buffer.put_u32_ne(0);
    // idiag_family, which is not looked at, idiag_src_len, idiag_dst_len; idiag_ext; an empty id.
    buffer.put_bytes(0, 3);
    buffer.put_u8(ExtensionFlags::INFO.bits());
    buffer.put_bytes(0, 48);
    buffer.put_u32_ne(states);
    buffer.put_u32_ne(0);
}

/// Appends a request for all sockets of `family` in one of the `states`.
pub fn ask_for_all(buffer: &mut BytesMut, family: Family, states: u32, sequence: u32) {
    let socket_id = match family {
        Family::Ipv4 => SocketId::new_v4(),
        Family::Ipv6 => SocketId::new_v6(),
    };
    let request = InetRequest {
        family: family_number(family),
        #[allow(clippy::cast_possible_truncation)] // it is 6
        protocol: IPPROTO_TCP as u8,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::from_bits_retain(states),
        socket_id,
    };
    append(buffer, NLM_F_DUMP, sequence, request);
}

/// Appends a request for one socket.
pub fn ask_for_one(buffer: &mut BytesMut, wanted: &Wanted, sequence: u32) {
    let request = InetRequest {
        family: family_number(wanted.family),
        #[allow(clippy::cast_possible_truncation)] // it is 6
        protocol: IPPROTO_TCP as u8,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: wanted.local.port,
            destination_port: wanted.remote.port,
            source_address: wanted.local.address,
            destination_address: wanted.remote.address,
            interface_id: wanted.interface,
            cookie: wanted.cookie.map_or(NO_COOKIE, u64::to_ne_bytes),
        },
    };
    append(buffer, 0, sequence, request);
}

/// Takes the next message off a datagram; `None` at its end. What is cut off or broken ends it too.
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

/// The socket that an answer tells of; `None` for the remains of a closed one in `TIME_WAIT`, which
/// the kernel lists under the state it came from.
#[must_use]
pub fn listed(response: &InetResponse, read: ReadAt) -> Option<Listed> {
    use netlink_packet_sock_diag::inet::Timer as Wire;
    let (family, local, remote) = endpoints(response)?;
    let header = &response.header;
    let timer = match header.timer {
        Some(Wire::TimeWait) => return None,
        Some(Wire::Retransmit(..)) => Timer::Retransmit,
        Some(Wire::KeepAlive(_)) => Timer::Keepalive,
        Some(Wire::Probe(_)) => Timer::ZeroWindowProbe,
        None => Timer::None,
    };
    let mut last_ack_ms = None;
    let mut cgroup_id = None;
    let mut mptcp = false;
    for attribute in &response.nlas {
        match attribute {
            Nla::TcpInfo(info) => {
                let field = info.get(LAST_ACK_RECV..LAST_ACK_RECV + 4);
                last_ack_ms = field.map(|mut field| field.get_u32_ne());
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
                mptcp = value.windows(6).any(|window| window == b"mptcp\0");
            }
            _ => {}
        }
    }
    Some(Listed {
        netns: read.netns,
        cookie: u64::from_ne_bytes(header.socket_id.cookie),
        interface: header.socket_id.interface_id,
        family,
        local,
        remote,
        state: TcpState::from_number(header.state)?,
        listed_ns: read.monotonic_ns,
        last_ack_ns: last_ack_ms.map(|ms| last_ack_ns(ms, read)),
        details: Details {
            inode: header.inode,
            uid: header.uid,
            recv_queue: header.recv_queue,
            send_queue: header.send_queue,
            timer,
            cgroup_id,
            mptcp,
        },
    })
}

/// The latest moment at which the last acknowledgment can have come in, of which the kernel says that
/// it did so many ms ago: it counts whole ticks from the tick before, hence up to one too much.
fn last_ack_ns(ms: u32, read: ReadAt) -> u64 {
    let ago_ns = (u64::from(ms) * 1_000_000).saturating_sub(read.tick_ns);
    read.monotonic_ns.saturating_sub(ago_ns)
}

/// The listener that an answer tells of.
#[must_use]
pub fn listening(response: &InetResponse, netns: u32) -> Option<Listening> {
    let (_, local, _) = endpoints(response)?;
    let header = &response.header;
    let v6_only = response.nlas.iter().find_map(|attribute| match attribute {
        Nla::SkV6Only(only) => Some(*only),
        _ => None,
    });
    (header.state == TcpState::Listen.number()).then_some(Listening {
        netns,
        local,
        v6_only,
        inode: header.inode,
        queued: header.recv_queue,
        backlog: header.send_queue,
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{DefaultNla, Emitable};
    use netlink_packet_sock_diag::inet::InetResponseHeader;
    use proptest::prelude::*;

    use super::*;

    const READ: ReadAt = ReadAt {
        netns: 7,
        monotonic_ns: 100_000_000_000,
        tick_ns: 4_000_000,
    };

    fn response() -> InetResponse {
        let mut info = vec![0; 232];
        info[LAST_ACK_RECV..LAST_ACK_RECV + 4].copy_from_slice(&5000u32.to_ne_bytes());
        let cgroup = DefaultNla::new(CGROUP_ID, 77u64.to_ne_bytes().to_vec());
        InetResponse {
            header: InetResponseHeader {
                family: netlink_packet_sock_diag::AF_INET,
                state: TcpState::CloseWait.number(),
                timer: None,
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
            nlas: [Nla::TcpInfo(info), Nla::Other(cgroup)]
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
        let socket = listed(&first, READ).expect("a whole socket");
        assert_eq!((socket.netns, socket.cookie, socket.interface), (7, 42, 3));
        assert_eq!((socket.local.port, socket.remote.port), (80, 4000));
        assert_eq!(socket.local.address.to_string(), "10.0.0.1");
        assert_eq!(socket.details.cgroup_id, Some(77));
        // 5 s ago less a tick.
        assert_eq!(socket.last_ack_ns, Some(95_004_000_000));
        assert!(matches!(
            next_answer(&mut datagram),
            Some(Answer::Socket(_))
        ));
        assert!(next_answer(&mut datagram).is_none());
    }

    #[test]
    fn the_remains_of_a_closed_socket_are_no_socket() {
        let mut response = response();
        response.header.timer = Some(netlink_packet_sock_diag::inet::Timer::TimeWait);
        assert_eq!(listed(&response, READ), None);
    }

    #[test]
    fn a_short_tcp_info_leaves_the_age_unknown() {
        let mut response = response();
        response.nlas = [Nla::TcpInfo(vec![0; 20])].into_iter().collect();
        let socket = listed(&response, READ).expect("a socket");
        assert_eq!(
            (socket.listed_ns, socket.last_ack_ns),
            (READ.monotonic_ns, None)
        );
    }

    #[test]
    fn an_ack_within_the_tick_gives_no_age() {
        assert_eq!(last_ack_ns(2, READ), READ.monotonic_ns);
    }

    #[test]
    fn requests_can_be_read_back() {
        let mut buffer = BytesMut::new();
        let wanted = Wanted {
            family: Family::Ipv6,
            local: crate::fixtures::end("::ffff:10.0.0.1", 80),
            remote: crate::fixtures::end("::ffff:10.0.0.2", 4000),
            interface: 2,
            cookie: Some(42),
        };
        ask_for_one(&mut buffer, &wanted, 1);
        let states = mask(&[TcpState::CloseWait]);
        ask_for_all(&mut buffer, Family::Ipv4, states, 2);
        ask_for_both(&mut buffer, states, 3);
        // A header of 16 bytes and a request of 56, twice; and the older one.
        assert_eq!(buffer.len(), 2 * (16 + 56) + 16 + 60);
        let both = &buffer[144..];
        assert_eq!(both[..6], [76, 0, 0, 0, 18, 0]);
        assert_eq!(both[68..72], (1u32 << 8).to_ne_bytes());
        let second = &buffer[72..144];
        assert_eq!(second[16..18], [netlink_packet_sock_diag::AF_INET, 6]);
        assert_eq!(second[20..24], (1u32 << 8).to_ne_bytes());
        assert_eq!(sequence_of_message(second), 2);
        // Ports in network order, as the kernel takes them.
        assert_eq!(
            buffer[24..28],
            [0, 80, 4000u16.to_be_bytes()[0], 4000u16.to_be_bytes()[1]]
        );
    }

    fn sequence_of_message(mut message: &[u8]) -> u32 {
        message.advance(8);
        message.get_u32_ne()
    }

    #[test]
    fn cut_off_answers_end_quietly() {
        let whole = message().freeze();
        for length in 0..whole.len() {
            let mut datagram = whole.slice(..length);
            assert!(next_answer(&mut datagram).is_none());
        }
        // A message whose own length says it is shorter than it is.
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
                    let _ = (listed(&response, READ), listening(&response, 7));
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

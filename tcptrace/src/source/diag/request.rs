//! Requests to `sock_diag` (`include/uapi/linux/inet_diag.h`).

use bytes::{BufMut, BytesMut};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::{
    SOCK_DIAG_BY_FAMILY, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use tcptrace_common::{IPPROTO_MPTCP, IPPROTO_TCP, TcpState};

use crate::model::{
    socket::{Endpoint, Family},
    stuck::look::Listed,
};

/// `TCPDIAG_GETSOCK`: the older request, which covers both families. Every dump walks the
/// connections of all namespaces, so two requests would cost twice as much.
pub const GETSOCK: u16 = 18;
/// Bytes of a message's header.
pub const HEADER: usize = 16;
/// Bytes of `struct inet_diag_req_v2`.
const REQUEST_BYTES: usize = 56;
/// `INET_DIAG_REQ_PROTOCOL`: the protocol, of 32 bits (5.9).
const REQ_PROTOCOL: u16 = 3;
/// Bytes of that attribute.
const ATTRIBUTE_BYTES: usize = 8;
/// Bytes of `struct inet_diag_req`.
const GETSOCK_BYTES: usize = 60;
/// The cookie that matches any socket, `INET_DIAG_NOCOOKIE`.
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// One socket to ask about, as `struct inet_diag_sockid` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SockId {
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

impl From<&Listed> for SockId {
    fn from(socket: &Listed) -> Self {
        Self {
            family: socket.family,
            local: socket.local,
            remote: socket.remote,
            interface: socket.interface,
            cookie: socket.cookie,
        }
    }
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
    // idiag_family, which the kernel ignores, idiag_src_len, idiag_dst_len; idiag_ext; an empty id.
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

/// Appends a request for all MPTCP connections of `family` in one of the `states`. The number of the
/// protocol does not fit into the request itself.
#[allow(clippy::cast_possible_truncation)] // a length of 80
pub fn ask_for_mptcp(buffer: &mut BytesMut, family: Family, states: u32, sequence: u32) {
    buffer.put_u32_ne((HEADER + REQUEST_BYTES + ATTRIBUTE_BYTES) as u32);
    buffer.put_u16_ne(SOCK_DIAG_BY_FAMILY);
    buffer.put_u16_ne(NLM_F_REQUEST | NLM_F_DUMP);
    buffer.put_u32_ne(sequence);
    buffer.put_u32_ne(0);
    // sdiag_family, sdiag_protocol, idiag_ext, pad, idiag_states; an empty id.
    buffer.put_u8(family_number(family));
    buffer.put_u8(IPPROTO_MPTCP as u8);
    buffer.put_u16_ne(0);
    buffer.put_u32_ne(states);
    buffer.put_bytes(0, 48);
    buffer.put_u16_ne(ATTRIBUTE_BYTES as u16);
    buffer.put_u16_ne(REQ_PROTOCOL);
    buffer.put_u32_ne(IPPROTO_MPTCP.into());
}

/// Appends a request for one socket.
pub fn ask_for_one(buffer: &mut BytesMut, wanted: &SockId, sequence: u32) {
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

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;

    #[test]
    fn requests_can_be_read_back() {
        let mut buffer = BytesMut::new();
        let wanted = SockId {
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
}

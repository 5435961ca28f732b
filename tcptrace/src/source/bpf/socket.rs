//! Converts what the kernel side keeps about a socket to the model's types.

use std::net::{IpAddr, Ipv6Addr};

use tcptrace_common::{AF_INET, AF_INET6, WatchedSocket};

use crate::model::{
    socket::{Endpoint, Family, Protocol},
    stuck::look::Entered,
};

/// The socket in the model's type; `None` for a family that TCP does not run on.
#[must_use]
pub fn entered(socket: &WatchedSocket) -> Option<Entered> {
    let family = family(socket.family)?;
    let some = |number: u32| Some(number).filter(|number| *number != 0);
    let read = socket.flags & WatchedSocket::SOCK_READ != 0;
    Some(Entered {
        since_ns: socket.since_ns,
        cookie: Some(socket.cookie).filter(|cookie| *cookie != 0),
        netns: some(socket.netns),
        interface: read.then_some(socket.bound_interface),
        at_entry: None,
        from_listener: read.then_some(socket.flags & WatchedSocket::FROM_LISTENER != 0),
        protocol: match socket.flags & WatchedSocket::MPTCP {
            0 => Protocol::Tcp,
            _ => Protocol::Mptcp,
        },
        family,
        local: endpoint(family, socket.local, socket.local_port),
        remote: endpoint(family, socket.remote, socket.remote_port),
    })
}

/// The address family with this number; `None` for one that TCP does not run on.
#[must_use]
pub fn family(number: u16) -> Option<Family> {
    match number {
        AF_INET => Some(Family::Ipv4),
        AF_INET6 => Some(Family::Ipv6),
        _ => None,
    }
}

/// One end of a socket of this family.
#[must_use]
pub fn endpoint(family: Family, words: [u64; 2], port: u16) -> Endpoint {
    Endpoint {
        address: address(family, words),
        port,
    }
}

/// The address that lies in memory in network order.
fn address(family: Family, words: [u64; 2]) -> IpAddr {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&words[1].to_ne_bytes());
    let v6 = Ipv6Addr::from(bytes);
    match (family, v6.to_ipv4_mapped()) {
        (Family::Ipv4, Some(v4)) => v4.into(),
        _ => v6.into(),
    }
}

//! Destroying a socket, as `ss -K` does.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::sockets;

/// `SOCK_DESTROY` of `linux/sock_diag.h`.
const SOCK_DESTROY: u16 = 21;
const HEADER: usize = 16;
/// `struct inet_diag_req_v2` of `linux/inet_diag.h`.
const REQUEST: usize = 56;

/// Destroys a socket; returns the error's number, 0 if it is done.
pub fn destroy(fd: &OwnedFd) -> Result<i32> {
    let socket = sockets::describe(fd)?;
    let remote = socket.remote.context("it is not connected")?;
    let ip = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&v4.octets());
            bytes
        }
        IpAddr::V6(v6) => v6.octets(),
    };
    let family = match socket.local.is_ipv4() {
        true => libc::AF_INET,
        false => libc::AF_INET6,
    };
    let mut message = Vec::with_capacity(HEADER + REQUEST);
    message.extend(u32::try_from(HEADER + REQUEST)?.to_ne_bytes());
    message.extend(SOCK_DESTROY.to_ne_bytes());
    message.extend(u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK)?.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([
        u8::try_from(family)?,
        u8::try_from(libc::IPPROTO_TCP)?,
        0,
        0,
    ]);
    // In any state.
    message.extend(u32::MAX.to_ne_bytes());
    message.extend(socket.local.port().to_be_bytes());
    message.extend(remote.port().to_be_bytes());
    message.extend(ip(socket.local.ip()));
    message.extend(ip(remote.ip()));
    // Whatever interface it is bound to.
    message.extend(0u32.to_ne_bytes());
    // In two halves of 32 bits, the lower one first.
    message.extend((socket.cookie as u32).to_ne_bytes());
    message.extend(((socket.cookie >> 32) as u32).to_ne_bytes());
    let diag = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    rustix::net::send(&diag, &message, SendFlags::empty())?;
    let mut answer = [0u8; 256];
    let (length, _) = rustix::net::recv(&diag, &mut answer, RecvFlags::empty())?;
    // An acknowledgement is an error message, whose number, negative or 0, stands behind the header.
    let number = answer[..length].get(HEADER..HEADER + 4);
    let number = number.context("no answer")?.try_into()?;
    Ok(-i32::from_ne_bytes(number))
}

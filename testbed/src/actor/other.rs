//! Sockets of other protocols, which have nothing to do with TCP's states.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::orders::Other;

/// Opens one.
pub fn open(kind: Other) -> Result<OwnedFd> {
    let (kind, protocol) = match kind {
        Other::Unix => {
            let (one, _) = std::os::unix::net::UnixStream::pair()?;
            return Ok(one.into());
        }
        Other::RawTcp => (SocketType::RAW, Some(ipproto::TCP)),
        Other::Udp => (SocketType::DGRAM, None),
    };
    let fd = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, protocol)?;
    // Connected, so that it has the peer's port, as a dead TCP socket has.
    rustix::net::connect(&fd, &SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9))?;
    Ok(fd)
}

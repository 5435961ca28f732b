//! Listening, also beside others, and accepting.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SocketFlags, sockopt};

use super::orders::Beside;
use crate::{clock, network::sockets};

/// Listens where another socket may listen, too.
pub fn beside(address: &SocketAddr, backlog: i32, how: &Beside) -> Result<OwnedFd> {
    let fd = sockets::tcp(address)?;
    match how {
        Beside::SharedPort => sockopt::set_socket_reuseport(&fd, true)?,
        Beside::Device(name) => bind_to_device(&fd, name)?,
        Beside::Transparent => transparent(&fd)?,
    }
    rustix::net::bind(&fd, address)?;
    rustix::net::listen(&fd, backlog)?;
    Ok(fd)
}

fn bind_to_device(fd: &OwnedFd, name: &str) -> Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes()).context("SO_BINDTODEVICE")
}

fn transparent(fd: &OwnedFd) -> Result<()> {
    let on = 1i32.to_ne_bytes();
    set(fd, libc::SOL_IP, libc::IP_TRANSPARENT, &on).context("IP_TRANSPARENT")
}

fn set(fd: &OwnedFd, level: i32, option: i32, value: &[u8]) -> Result<()> {
    let length = libc::socklen_t::try_from(value.len())?;
    // SAFETY: the kernel reads `length` bytes, which is the size of `value`, before the call returns.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, value.as_ptr().cast(), length) };
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    Ok(())
}

/// Accepts one connection, with a time limit.
pub fn accept_one(listener: &OwnedFd) -> Result<OwnedFd> {
    let patience = Timespec::try_from(clock::patience()).context("too patient")?;
    if !comes(listener, &patience)? {
        bail!("no connection came");
    }
    Ok(rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?)
}

/// Accepts all connections that wait already.
pub fn accept_waiting(listener: &OwnedFd) -> Result<Vec<OwnedFd>> {
    let mut accepted = Vec::new();
    while comes(listener, &Timespec::default())? {
        accepted.push(rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?);
    }
    Ok(accepted)
}

fn comes(listener: &OwnedFd, within: &Timespec) -> Result<bool> {
    let mut poll = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
    Ok(rustix::event::poll(&mut poll, Some(within))? != 0)
}

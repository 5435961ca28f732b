//! Connecting step by step.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::{clock, network::sockets};

/// A socket of the family of `local`, optionally bound to it, also where another socket that shares its port
/// listens.
pub fn open(local: &SocketAddr, bind: bool) -> Result<OwnedFd> {
    let fd = sockets::tcp(local)?;
    if bind {
        sockopt::set_socket_reuseport(&fd, true)?;
        rustix::net::bind(&fd, local)?;
    }
    Ok(fd)
}

/// Connects a socket, and returns the result.
pub fn dial(fd: &OwnedFd, address: &SocketAddr, blocking: bool) -> Result<Result<(), Errno>> {
    rustix::io::ioctl_fionbio(fd, !blocking)?;
    match rustix::net::connect(fd, address) {
        Err(Errno::INPROGRESS) if !blocking => {
            let mut poll = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)];
            let patience = Timespec::try_from(clock::patience()).context("too patient")?;
            if rustix::event::poll(&mut poll, Some(&patience))? == 0 {
                bail!("the connection did not complete in time");
            }
            Ok(sockopt::socket_error(fd)?)
        }
        ended => Ok(ended),
    }
}

/// Dissolves the connection of a socket.
pub fn disconnect(fd: &OwnedFd) -> Result<()> {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes, which is the size of `nowhere`, before the call returns.
    let result = unsafe { libc::connect(fd.as_raw_fd(), &raw const nowhere, length) };
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    Ok(())
}

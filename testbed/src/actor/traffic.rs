//! What goes over a connection.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

/// Sends this many bytes.
pub fn send(fd: &OwnedFd, bytes: usize) -> Result<()> {
    send_as(fd, bytes, SendFlags::NOSIGNAL)
}

/// Sends this many bytes, and the FIN with the last of them.
pub fn send_last(fd: &OwnedFd, bytes: usize) -> Result<()> {
    // Without MSG_MORE, the bytes would be on their way before there is a FIN.
    send_as(fd, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)?;
    Ok(rustix::net::shutdown(fd, Shutdown::Write)?)
}

fn send_as(fd: &OwnedFd, bytes: usize, flags: SendFlags) -> Result<()> {
    let sent = rustix::net::send(fd, &vec![b'x'; bytes], flags)?;
    ensure!(sent == bytes, "only {sent} bytes were sent");
    Ok(())
}

/// Sends until nothing more fits into the buffers, and returns how many bytes that were.
pub fn fill(fd: &OwnedFd) -> Result<u64> {
    let (block, mut all) = (vec![b'x'; 1 << 16], 0);
    loop {
        match rustix::net::send(fd, &block, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => all += u64::try_from(sent)?,
            Err(Errno::AGAIN) => return Ok(all),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads exactly this many bytes.
pub fn read(fd: &OwnedFd, bytes: usize) -> Result<()> {
    let mut buffer = vec![0; bytes];
    let read = rustix::net::recv(fd, &mut buffer, RecvFlags::WAITALL)?.0;
    ensure!(read == bytes, "only {read} bytes came");
    Ok(())
}

/// Reads until the end of the stream.
pub fn drain(fd: &OwnedFd) -> Result<()> {
    let mut buffer = [0; 4096];
    while rustix::net::recv(fd, &mut buffer, RecvFlags::empty())?.0 != 0 {}
    Ok(())
}

//! Descriptors that are passed from one process to another over a Unix socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::clock;

/// Unix sockets that receive descriptors. They stay open, because closing one drops the passed descriptors that were
/// not taken.
#[derive(Default)]
pub struct Mailboxes(Vec<UnixDatagram>);

impl Mailboxes {
    /// Opens a mailbox with an abstract name, which belongs to the network namespace and needs no file.
    pub fn open(&mut self, name: &str) -> Result<()> {
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        socket.set_read_timeout(Some(clock::patience()))?;
        self.0.push(socket);
        Ok(())
    }

    /// Passes a descriptor to the mailbox of this name.
    pub fn pass(fd: &OwnedFd, name: &str) -> Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        let fds = [fd.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&fds));
        rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(b"x")],
            &mut rights,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// For this long, passes every descriptor that comes on to the mailbox of that name, after a random time; returns
    /// how many these were.
    pub fn pass_on(&self, name: &str, time: Duration) -> Result<u64> {
        let own = self.0.last().context("no mailbox")?;
        own.set_read_timeout(Some(Duration::from_millis(1)))?;
        let (start, mut random, mut count) = (Instant::now(), clock::monotonic_ns() | 1, 0);
        while start.elapsed() < time {
            let Ok(fd) = self.take() else { continue };
            // Xorshift.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (held, waits) = (random % 200, (random >> 32) % 200);
            std::thread::sleep(Duration::from_micros(held));
            Self::pass(&fd, name)?;
            drop(fd);
            // For this time, the next one is in a message only.
            std::thread::sleep(Duration::from_micros(waits));
            count += 1;
        }
        own.set_read_timeout(Some(clock::patience()))?;
        Ok(count)
    }

    /// Takes the next descriptor out of the mailbox that was opened last.
    pub fn take(&self) -> Result<OwnedFd> {
        let socket = self.0.last().context("no mailbox")?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut byte)],
            &mut rights,
            flags,
        )?;
        let passed = rights.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        passed.ok_or_else(|| anyhow!("nothing was passed"))
    }
}

//! How descriptors get from one process to another: inherited by a child, or passed over a Unix socket.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut, Read, Write, stdin, stdout};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use super::inherit;
use crate::workload::clock;

/// The name under which a child runs, which also says that it is one.
pub const CHILD: &str = "leaky-child";

/// The children of an actor, that do nothing but hold what they inherited.
#[derive(Default)]
pub struct Children(HashMap<u32, Child>);

impl Children {
    /// Starts a child that has these descriptors under the same numbers, and nothing else of ours.
    pub fn start(&mut self, fds: Vec<i32>) -> Result<u32> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["actor", CHILD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        inherit::keep_open(&mut command, fds);
        let mut child = command.spawn()?;
        let ready = child.stdout.as_mut().map(|out| out.read_exact(&mut [0]));
        let pid = child.id();
        self.0.insert(pid, child);
        ready
            .context("the child has no stdout")?
            .context("the child did not start")?;
        Ok(pid)
    }

    /// Ends a child.
    pub fn end(&mut self, pid: u32) -> Result<()> {
        let mut child = self
            .0
            .remove(&pid)
            .with_context(|| format!("{pid} is not my child"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

/// What a child does: nothing, until the pipe from its parent breaks.
pub fn wait_for_end() -> Result<()> {
    // Says that it goes by its own name now.
    stdout().write_all(b"\n")?;
    stdout().flush()?;
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Unix sockets to be passed descriptors on. They stay open, for what was passed and not taken is dropped with them.
#[derive(Default)]
pub struct Mailboxes(Vec<UnixDatagram>);

impl Mailboxes {
    /// Opens one under an abstract name, which belongs to the network namespace and needs no file.
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

    /// Takes the next descriptor out of the one opened last.
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

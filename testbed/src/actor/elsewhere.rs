//! A socket in a network namespace that the actor itself is not in.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::orders::{Hiding, Keeper};
use super::{hide, listen};
use crate::network::{loopback_up, netns, sockets, state::CLOSE_WAIT};

const OWN: &str = "/proc/thread-self/ns/net";

/// What was made.
pub struct Elsewhere {
    /// The namespace.
    pub netns: u64,
    /// The socket's inode.
    pub inode: u64,
    /// What has to stay open.
    pub kept: Vec<OwnedFd>,
}

/// Makes a namespace to which only `keeper` leads, and in it a socket in CLOSE_WAIT: the server's end of a connection
/// whose client is closed. Only if the socket itself is the keeper, it has a descriptor; otherwise an `io_uring` keeps
/// it. Gives the number of the error if the kernel refuses that.
pub fn leak(keeper: Keeper) -> Result<Result<Elsewhere, i32>> {
    let (made, answer) = channel();
    std::thread::Builder::new().spawn(move || {
        let result = make(keeper);
        let stays = keeper == Keeper::Thread;
        if made.send(result).is_err() || !stays {
            return;
        }
        loop {
            std::thread::park();
        }
    })?;
    answer.recv().context("the thread ended")?
}

fn make(keeper: Keeper) -> Result<Result<Elsewhere, i32>> {
    netns::leave()?;
    loopback_up()?;
    let netns = rustix::fs::stat(OWN)?.st_ino;
    let listener = sockets::tcp(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
    rustix::net::bind(&listener, &SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
    rustix::net::listen(&listener, 1)?;
    let at = sockets::describe(&listener)?.local;
    let client = sockets::tcp(&at)?;
    rustix::net::connect(&client, &at)?;
    let server = listen::accept_one(&listener)?;
    drop(client);
    sockets::await_state(&server, CLOSE_WAIT)?;
    let inode = sockets::describe(&server)?.inode;
    let mut kept = Vec::new();
    if keeper == Keeper::Socket {
        kept.push(server);
    } else {
        match hide::hide(&server, Hiding::IoUring)? {
            Ok(ring) => kept.extend(ring),
            Err(error) => return Ok(Err(error)),
        }
    }
    match keeper {
        Keeper::Socket | Keeper::Thread => {}
        Keeper::Descriptor => kept.push(File::open(OWN)?.into()),
    }
    Ok(Ok(Elsewhere { netns, inode, kept }))
}

/// The same in the calling thread, whose mount namespace becomes a new one: there the namespace is bound to a path that
/// is not UTF-8, and nothing else leads to it. It must be the main thread of a process that does nothing else.
pub fn leak_at_a_mount() -> Result<Result<Elsewhere, i32>> {
    let home = File::open(OWN)?;
    // SAFETY: it changes which mounts this thread sees, and no memory or descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("cannot make a mount namespace")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)?;
    // A file system of its own, which is gone with the mount namespace.
    mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), None)?;
    let made = make(Keeper::Thread)?;
    let path = c"/tmp/a \xff space";
    rustix::fs::open(path, rustix::fs::OFlags::CREATE, rustix::fs::Mode::RUSR)?;
    mount_bind(OWN, path)?;
    move_into_link_name_space(
        std::os::fd::AsFd::as_fd(&home),
        Some(LinkNameSpaceType::Network),
    )?;
    Ok(made)
}

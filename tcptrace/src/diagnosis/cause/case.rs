//! What the rules look at: a group with its sockets, and all that is known about its process.

use crate::{
    diagnosis::cause::history::Past,
    model::{
        cause::{Interest, ProcessClues, Share},
        socket::{Details, Socket},
        stuck::{
            group::Group,
            look::ProcessInfo,
            snapshot::{PortListener, Snapshot},
        },
    },
};

/// A second.
pub const SECOND: u64 = 1_000_000_000;

/// A group.
pub struct Case<'a> {
    /// The group itself.
    pub group: &'a Group,
    /// Its sockets. Of a group of residue alone, that.
    pub sockets: Vec<&'a Socket>,
    /// Dead ones beside them, with the same process and ends.
    pub dead: Vec<&'a Socket>,
    /// The moment of the look, in ns of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
    /// The processes that it is counted under, or that may be meant.
    pub processes: Vec<&'a ProcessInfo>,
    /// What was read about its process.
    pub clues: Option<&'a ProcessClues>,
    /// The listeners on its port; `None` if they are not known.
    pub listeners: Option<Vec<&'a PortListener>>,
    /// What the session has seen of it; `None` at the first look.
    pub past: Option<&'a Past>,
    /// All of the look.
    pub snapshot: &'a Snapshot,
}

impl<'a> Case<'a> {
    /// Those of its sockets that a process has accepted or opened.
    pub fn accepted(&self) -> impl Iterator<Item = &'a Socket> + Clone {
        let sockets = self.sockets.iter().copied();
        sockets.filter(|socket| socket.accepted() != Some(false))
    }

    /// The age of the oldest, in ns, at least. Where most of what was not closed has died meanwhile, as keepalive makes
    /// it, the oldest is among those.
    pub fn oldest_ns(&self) -> u64 {
        let moment = |socket: &&Socket| socket.since.moment_ns();
        let dead = (self.dead.iter()).filter(|_| self.dead.len() >= self.sockets.len());
        let oldest = self.sockets.iter().chain(dead).map(moment).min();
        self.now_ns.saturating_sub(oldest.unwrap_or(self.now_ns))
    }

    /// Whether its process can open no more descriptors.
    pub fn is_full(&self) -> bool {
        let descriptors = self.clues.and_then(|clues| clues.descriptors);
        descriptors.is_some_and(|descriptors| descriptors.are_full())
    }

    /// Whether it soon cannot.
    pub fn is_nearly_full(&self) -> bool {
        let descriptors = self.clues.and_then(|clues| clues.descriptors);
        descriptors.is_some_and(|descriptors| descriptors.are_nearly_full())
    }

    /// What sets of `epoll` of its process wait for at the socket: `None` if that is not known.
    pub fn interest(&self, socket: &Socket) -> Option<Option<Interest>> {
        let interest = self.clues?.interest.as_ref()?;
        let inode = socket.details.as_ref()?.inode;
        Some(interest.get(&inode).copied())
    }
}

/// On how many of them something is surely so.
pub fn share<'a>(
    sockets: impl Iterator<Item = &'a Socket>,
    is_so: impl Fn(&Socket) -> Option<bool>,
) -> Share {
    let mut share = Share { count: 0, of: 0 };
    for socket in sockets {
        share.of += 1;
        share.count += usize::from(is_so(socket) == Some(true));
    }
    share
}

/// What a look shows about it.
pub fn details(socket: &Socket) -> Option<&Details> {
    socket.details.as_deref()
}

/// Unread bytes, of which the FIN counts as one.
pub fn unread(socket: &Socket) -> Option<u64> {
    details(socket)?.recv_queue.map(u64::from)
}

/// Bytes received, of which the FIN counts as one (`tcp_rcv_nxt_update`).
pub fn received(socket: &Socket) -> Option<u64> {
    details(socket)?.bytes_received
}

/// Bytes that the process has read; the end counts as one.
pub fn read(socket: &Socket) -> Option<u64> {
    details(socket)?.bytes_read()
}

/// Whether this end has ever sent data.
pub fn has_sent(socket: &Socket) -> Option<bool> {
    let details = details(socket)?;
    if let Some(segments) = details.data_segments_out {
        return Some(segments > 0);
    }
    // A SYN that this end sent counts as one.
    Some(details.bytes_acked? > 1 || details.send_queue? > 0)
}

/// Whether the end was read, or with the last data may have been: nothing is unread.
pub fn is_all_read(socket: &Socket) -> Option<bool> {
    Some(unread(socket)? == 0)
}

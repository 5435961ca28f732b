//! The truth about a socket, to compare a tracer's result with.

use std::{collections::BTreeSet, net::SocketAddr};

use super::Span;

/// Who opened the connection, seen from a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This end connected.
    Client,
    /// The other end connected.
    Server,
}

/// One of the two actors of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that connects.
    Client,
    /// The one that listens.
    Server,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Everything that is known about a stuck socket.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The kernel's cookie. It is unknown for a socket that no process has accepted yet, because only its holder can
    /// read it.
    pub cookie: Option<u64>,
    /// The inode, 0 until a process has accepted it.
    pub inode: u64,
    /// Its own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Who opened the connection.
    pub role: Role,
    /// Whether a process has it or ever had it.
    pub accepted: bool,
    /// Every (PID, descriptor) that has it open.
    pub holders: BTreeSet<(u32, i32)>,
    /// The PID of the listener's process, if no process has accepted it.
    pub listener: Option<u32>,
    /// The PID of the process that can receive it, if only a message has it.
    pub receiver: Option<u32>,
    /// It cannot have entered its state before this (CLOCK_MONOTONIC).
    pub before_ns: u64,
    /// It had entered its state by this time.
    pub after_ns: u64,
}

impl Truth {
    /// When it entered its state.
    pub fn entered(&self) -> Span {
        Span {
            before_ns: self.before_ns,
            after_ns: self.after_ns,
        }
    }
}

//! What an actor can be told to do, and what it answers: one JSON line each.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// An open TCP socket of an actor, as that process itself sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Its number in the actor.
    pub fd: i32,
    /// The kernel's cookie (`SO_COOKIE`).
    pub cookie: u64,
    /// Its inode in sockfs, the number in `socket:[…]`.
    pub inode: u64,
    /// This end.
    pub local: SocketAddr,
    /// The other end; a listener has none.
    pub remote: Option<SocketAddr>,
}

/// One thing for an actor to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Listen on an address; port 0 takes a free one. Answers the socket.
    Listen {
        /// Where.
        address: SocketAddr,
        /// How many connections may wait to be accepted.
        backlog: i32,
    },
    /// Connect so many times. Answers the sockets.
    Connect {
        /// Where to.
        address: SocketAddr,
        /// How many.
        count: usize,
    },
    /// Start to connect and do not wait for an answer. Answers the sockets.
    ConnectUnanswered {
        /// Where to.
        address: SocketAddr,
        /// How many.
        count: usize,
    },
    /// Accept so many connections that have come in or will. Answers the sockets.
    Accept {
        /// The listener.
        fd: i32,
        /// How many.
        count: usize,
    },
    /// Send so many bytes.
    Send {
        /// The socket.
        fd: i32,
        /// How many bytes.
        bytes: usize,
    },
    /// Read until the end of the stream.
    Drain {
        /// The socket.
        fd: i32,
    },
    /// Shut the sending side down. Answers the time just before.
    Shutdown {
        /// The socket.
        fd: i32,
    },
    /// Shut many down at once and wait until the other side has acknowledged it, which it can only do after its
    /// own state changed. Answers two times for each: just before, and when the acknowledgement was seen.
    ShutdownAll {
        /// The sockets.
        fds: Vec<i32>,
    },
    /// Close. Answers the time just before.
    Close {
        /// The sockets.
        fds: Vec<i32>,
    },
    /// Close with a reset instead of a FIN. Answers the time just before.
    Reset {
        /// The sockets.
        fds: Vec<i32>,
    },
    /// Wait until the kernel says that the socket is in a state. Answers the time at which that was seen.
    Await {
        /// The socket.
        fd: i32,
        /// The state's number.
        state: u8,
    },
    /// Switch keepalive probes on.
    Keepalive {
        /// The socket.
        fd: i32,
        /// Seconds of silence before the first probe.
        idle: u32,
        /// Seconds between probes.
        interval: u32,
        /// Probes without an answer until the connection is dead.
        count: u32,
    },
    /// Drop every packet that arrives for the socket from now on, as if its machine had lost power.
    Deafen {
        /// The socket.
        fd: i32,
    },
    /// Start a child that inherits these descriptors under the same numbers. Answers its PID.
    Fork {
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// End a child and wait for it.
    EndChild {
        /// Its PID.
        pid: u32,
    },
    /// Be ready to be passed descriptors under this name (an abstract Unix socket).
    Mailbox {
        /// The name, unique in the network namespace.
        name: String,
    },
    /// Pass a descriptor to the mailbox of this name; the own copy stays open.
    Pass {
        /// The descriptor.
        fd: i32,
        /// The mailbox.
        name: String,
    },
    /// Take a passed descriptor out of the mailbox that was opened last. Answers the socket.
    Take,
    /// Go and live in a network namespace of its own; the sockets stay where they are.
    LeaveNamespace,
    /// Take this name (`PR_SET_NAME`), any bytes but NUL.
    Rename {
        /// The name.
        comm: Vec<u8>,
    },
    /// Connect, exchange a byte, close: so many times in a row, ten transitions each. Answers the time it took.
    Churn {
        /// Where to.
        address: SocketAddr,
        /// How many.
        count: usize,
    },
    /// Be the other side of that, so many times in a row. Answers the time it took.
    ChurnServe {
        /// The listener.
        fd: i32,
        /// How many.
        count: usize,
    },
}

/// What an actor answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// Sockets, in the order they were made.
    Sockets(Vec<Socket>),
    /// A moment, or a span, in nanoseconds.
    Time(u64),
    /// For each socket the moments before and after.
    Brackets(Vec<(u64, u64)>),
    /// A process.
    Pid(u32),
    /// It could not be done.
    Failed(String),
}

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
    /// Make a socket that is not connected, of the family of an address; bind it to that if told to. Answers the
    /// socket.
    Open {
        /// The address.
        local: SocketAddr,
        /// Whether to bind.
        bind: bool,
    },
    /// Connect a socket that is open already. Answers the socket, or the error's number.
    Dial {
        /// The socket.
        fd: i32,
        /// Where to.
        address: SocketAddr,
        /// Whether the call itself waits for the answer; else the socket is made non-blocking and polled.
        blocking: bool,
    },
    /// Take a connection back, so that the socket can be connected again (`connect` to `AF_UNSPEC`).
    Disconnect {
        /// The socket.
        fd: i32,
    },
    /// Connect, and end as soon as that is answered. Answers the socket.
    ConnectAndEnd {
        /// Where to.
        address: SocketAddr,
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
    /// Shut the receiving side down, or both. Answers the time just before.
    ShutdownToo {
        /// The socket.
        fd: i32,
        /// Both sides, not only the receiving one.
        both: bool,
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
    /// Hear again after [`Order::Deafen`].
    Hear {
        /// The socket.
        fd: i32,
    },
    /// Start another actor as a child, that inherits these descriptors as its own sockets. Answers its PID.
    Worker {
        /// Its name.
        comm: String,
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// Have a worker do something. Answers what it answers.
    Relay {
        /// Its PID.
        pid: u32,
        /// What to do.
        order: Box<Order>,
    },
    /// Do something in a new thread, which has a name of its own. Answers that in [`Reply::Thread`].
    Thread {
        /// What to do.
        order: Box<Order>,
    },
    /// Be replaced by an actor of another name (`execve`), that keeps these descriptors.
    Become {
        /// Its name.
        comm: String,
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// Have all workers that are started from now on live in a new PID namespace.
    UnsharePids,
    /// Start a child that inherits these descriptors under the same numbers. Answers its PID.
    Fork {
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// End a child or a worker and wait for it.
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

impl Order {
    /// The same, to be done by a worker of the actor that gets the order.
    pub fn by(self, pid: u32) -> Self {
        Self::Relay {
            pid,
            order: Box::new(self),
        }
    }
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
    /// What a thread of this number answered.
    Thread(u32, Box<Reply>),
    /// The number of the error that a call ended with.
    Error(i32),
    /// It could not be done.
    Failed(String),
}

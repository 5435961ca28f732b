//! The orders for an actor, and its answers: one JSON line each.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// An open TCP socket of an actor, as the actor sees it.
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

/// How several sockets can listen on one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// They share it (`SO_REUSEPORT`): the kernel spreads the connections over them.
    SharedPort,
    /// Each takes what arrives at one network interface (`SO_BINDTODEVICE`).
    Device(String),
    /// It takes connections to addresses that are not the machine's (`IP_TRANSPARENT`).
    Transparent,
}

/// Sockets that are not TCP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Other {
    /// It sees TCP's packets, but is none of its sockets (`SOCK_RAW`).
    RawTcp,
    /// UDP, connected.
    Udp,
    /// One end of a pair of Unix sockets.
    Unix,
}

/// What keeps a socket open without a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hiding {
    /// It is registered with an `io_uring`.
    IoUring,
    /// It is mapped into memory.
    Mapping,
    /// A thread is blocked in a write to it.
    Write,
    /// A thread waits for it in a poll.
    Poll,
}

/// What leads to a network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// A socket alone.
    Socket,
    /// A thread that is not the process's first one.
    Thread,
    /// A descriptor of the namespace.
    Descriptor,
}

/// One thing for an actor to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Make all sockets from now on speak MPTCP. Answers the error's number if the kernel refuses.
    SpeakMptcp,
    /// Make a new network namespace to which only this leads, with one socket in CLOSE_WAIT. Answers
    /// [`Reply::Elsewhere`], or the error's number.
    LeakElsewhere {
        /// What leads to it.
        keeper: Keeper,
    },
    /// The same, with a mount in a mount namespace of the actor's own.
    LeakAtAMount,
    /// Listen on an address; port 0 takes a free one. Answers the socket.
    Listen {
        /// Where.
        address: SocketAddr,
        /// How many connections may wait to be accepted.
        backlog: i32,
    },
    /// Listen where another socket may listen, too. Answers the socket.
    ListenBeside {
        /// Where.
        address: SocketAddr,
        /// How many connections may wait to be accepted.
        backlog: i32,
        /// What makes it possible.
        how: Beside,
    },
    /// Listen on a socket that is already open. Answers the socket.
    ListenOn {
        /// The socket.
        fd: i32,
        /// How many connections may wait to be accepted.
        backlog: i32,
    },
    /// Connect this many times. Answers the sockets.
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
    /// Start to connect with sockets that hear no answer: the other side is left with requests. Answers the sockets.
    ConnectDeaf {
        /// Where to.
        address: SocketAddr,
        /// How many.
        count: usize,
    },
    /// Accept this many connections, and wait for them if necessary. Answers the sockets.
    Accept {
        /// The listener.
        fd: i32,
        /// How many.
        count: usize,
    },
    /// Make a socket of another protocol and keep it.
    OpenOther {
        /// The protocol.
        kind: Other,
    },
    /// Accept the connections that wait. Answers the sockets.
    AcceptWaiting {
        /// The listener.
        fd: i32,
    },
    /// Make a socket that is not connected, of the family of an address, and bind it to the address if requested.
    /// Answers the socket.
    Open {
        /// The address.
        local: SocketAddr,
        /// Whether to bind.
        bind: bool,
    },
    /// Connect a socket that is already open. Answers the socket, or the error's number.
    Dial {
        /// The socket.
        fd: i32,
        /// Where to.
        address: SocketAddr,
        /// Whether the call itself waits for the answer; otherwise the socket is made non-blocking and polled.
        blocking: bool,
    },
    /// Dissolve a connection, so that the socket can be connected again (`connect` to `AF_UNSPEC`).
    Disconnect {
        /// The socket.
        fd: i32,
    },
    /// Connect, and end as soon as this order is answered. Answers the socket.
    ConnectAndEnd {
        /// Where to.
        address: SocketAddr,
    },
    /// Send this many bytes.
    Send {
        /// The socket.
        fd: i32,
        /// How many bytes.
        bytes: usize,
    },
    /// Send this many bytes, and the FIN with the last of them in one segment.
    SendLast {
        /// The socket.
        fd: i32,
        /// How many bytes.
        bytes: usize,
    },
    /// Send until nothing more fits into the buffers. Answers how many bytes that were.
    Fill {
        /// The socket.
        fd: i32,
    },
    /// Read exactly this many bytes, and wait for them if necessary.
    Read {
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
    /// Have no more than this many descriptors (`RLIMIT_NOFILE`).
    LimitDescriptors {
        /// How many.
        limit: u64,
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
        /// Whether to shut down both sides, not only the receiving one.
        both: bool,
    },
    /// Shut many down at once and wait until the other side has acknowledged it, which it only does after its own state
    /// has changed. Answers two times for each: just before, and when the acknowledgement was seen.
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
    /// Wait until all of them are in a state. Answers two times for each: when it was last seen in another state, and
    /// when it was first seen in this one.
    AwaitAll {
        /// The sockets.
        fds: Vec<i32>,
        /// The state's number.
        state: u8,
    },
    /// Read the socket's pending error (`SO_ERROR`), which clears it. Answers its number, 0 for none.
    ReadError {
        /// The socket.
        fd: i32,
    },
    /// Make the kernel destroy the socket, as `ss -K` does. Answers the time just before, or the error's number.
    Destroy {
        /// The socket.
        fd: i32,
    },
    /// Let the connection end if sent data is not acknowledged for this long (`TCP_USER_TIMEOUT`).
    UserTimeout {
        /// The socket.
        fd: i32,
        /// Milliseconds.
        milliseconds: u32,
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
    /// Switch keepalive probes on, timed as the namespace's sysctls say.
    SystemKeepalive {
        /// The socket.
        fd: i32,
    },
    /// Drop every packet that arrives for the socket from now on, as if its machine had lost power.
    Deafen {
        /// The socket.
        fd: i32,
    },
    /// Receive again after [`Order::Deafen`].
    Hear {
        /// The socket.
        fd: i32,
    },
    /// Start another actor as a child, which inherits these descriptors as its own sockets. Answers its PID.
    Worker {
        /// Its name.
        comm: String,
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// Pass an order to a worker. Answers the worker's answer.
    Relay {
        /// Its PID.
        pid: u32,
        /// What to do.
        order: Box<Order>,
    },
    /// Execute an order in a new thread, which has a name of its own. Answers the thread's answer in [`Reply::Thread`].
    Thread {
        /// What to do.
        order: Box<Order>,
    },
    /// Keep a socket open without a descriptor: close its only one. Answers the error's number if the kernel refuses.
    Hide {
        /// The socket.
        fd: i32,
        /// What keeps it open.
        how: Hiding,
    },
    /// Start a thread that has a table of descriptors of its own, a copy of the process's, and waits; then close these in
    /// the process, so that the thread alone has them. Answers [`Reply::Thread`].
    OwnTable {
        /// The descriptors that the thread alone keeps.
        fds: Vec<i32>,
    },
    /// Start a process that shares the table of descriptors with this one, and waits. Answers its PID.
    ShareTable,
    /// End the main thread and go on in another one. Answers [`Reply::Thread`] from there.
    LeaveMainThread,
    /// Replace this process by an actor of another name (`execve`), which keeps these descriptors.
    Become {
        /// Its name.
        comm: String,
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// Make all workers that are started from now on run in a new PID namespace.
    UnsharePids,
    /// Start a child that inherits these descriptors under the same numbers. Answers its PID.
    Fork {
        /// The descriptors.
        fds: Vec<i32>,
    },
    /// End a child, a worker or a process of [`Order::ShareTable`], and wait for it.
    EndChild {
        /// Its PID.
        pid: u32,
    },
    /// Open a mailbox for descriptors with this name (an abstract Unix socket).
    Mailbox {
        /// The name, unique in the network namespace.
        name: String,
    },
    /// Pass a descriptor to the mailbox with this name; the actor's own copy stays open.
    Pass {
        /// The descriptor.
        fd: i32,
        /// The mailbox.
        name: String,
    },
    /// Take a descriptor out of the mailbox that was opened last. Answers the socket.
    Take,
    /// For this long, pass every descriptor that comes to the mailbox that was opened last on to the mailbox with this
    /// name, after a random time, and close it. Answers the number of them.
    PassOn {
        /// The other mailbox.
        name: String,
        /// Milliseconds.
        milliseconds: u64,
    },
    /// Move to a new network namespace; the sockets stay in the old one.
    LeaveNamespace,
    /// Take this name (`PR_SET_NAME`), any bytes but NUL.
    Rename {
        /// The name.
        comm: Vec<u8>,
    },
    /// Connect, exchange a byte, close: this many times in a row, ten transitions each. Answers the time it took.
    Churn {
        /// Where to.
        address: SocketAddr,
        /// How many.
        count: usize,
    },
    /// Be the other side of this, this many times in a row. Answers the time it took.
    ChurnServe {
        /// The listener.
        fd: i32,
        /// How many.
        count: usize,
    },
}

impl Order {
    /// The same order for a worker of the actor that gets the order.
    pub fn by(self, pid: u32) -> Self {
        Self::Relay {
            pid,
            order: Box::new(self),
        }
    }
}

/// The answer of an actor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The order is done.
    Done,
    /// Sockets, in the order they were made.
    Sockets(Vec<Socket>),
    /// A moment, or a span, in nanoseconds.
    Time(u64),
    /// For each socket, the moments before and after.
    Brackets(Vec<(u64, u64)>),
    /// A number of things.
    Count(u64),
    /// A process.
    Pid(u32),
    /// The answer of the thread with this number.
    Thread(u32, Box<Reply>),
    /// The inode numbers of a network namespace and of a socket in it.
    Elsewhere(u64, u64),
    /// The number of the error that a call ended with.
    Error(i32),
    /// The order failed.
    Failed(String),
}

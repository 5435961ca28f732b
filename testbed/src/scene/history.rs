//! The true history of a socket from its first transition to its last, to compare a log with.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::Role;
use crate::{Socket, clock::monotonic_ns};

/// How a process got a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It connected.
    Connect,
    /// It accepted.
    Accept,
    /// It listens on it.
    Listen,
    /// It listens where the socket came in, and no process has accepted the socket yet.
    Listener,
}

/// The owner of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The process, in the PID namespace of the caller.
    pub pid: u32,
    /// The thread that got the socket.
    pub tid: u32,
    /// The process's name at that time.
    pub comm: String,
    /// When the process started, in ns since boot, rounded down to [`Whose::TICK_NS`].
    pub started_ns: u64,
    /// How it got the socket.
    pub how: How,
}

impl Whose {
    /// The resolution of times in `/proc`.
    pub const TICK_NS: u64 = 10_000_000;

    /// A process that exists now, with its main thread.
    pub fn of(pid: u32, how: How) -> Result<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat"));
        let stat = stat.with_context(|| format!("no process {pid}"))?;
        // A name may consist of any bytes.
        let stat = String::from_utf8_lossy(&stat);
        let fields = || -> Option<(String, u64)> {
            let (comm, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
            // The state is the third field, the start is the 22nd.
            let ticks: u64 = rest.split(' ').nth(19)?.parse().ok()?;
            Some((comm.to_owned(), ticks * Self::TICK_NS))
        };
        let (comm, started_ns) = fields().with_context(|| format!("cannot read {stat}"))?;
        Ok(Self {
            pid,
            tid: pid,
            comm,
            started_ns,
            how,
        })
    }

    /// The same with another thread.
    pub fn thread(self, tid: u32) -> Self {
        Self { tid, ..self }
    }
}

/// The process whose system call caused a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// None: a packet or a timer.
    Nobody,
    /// This process.
    Process(u32),
    /// This process or none: it depends on whether a packet arrived in time, or on the interpretation.
    Perhaps(u32),
}

/// A range of `CLOCK_MONOTONIC` that contains a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The lower bound.
    pub before_ns: u64,
    /// The upper bound.
    pub after_ns: u64,
}

impl Span {
    /// From the beginning of this span to the end of the other one.
    pub fn to(self, later: Self) -> Self {
        Self {
            after_ns: later.after_ns,
            ..self
        }
    }
}

/// Does something and returns when.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Span)> {
    let before_ns = monotonic_ns();
    let done = work()?;
    let after_ns = monotonic_ns();
    Ok((
        done,
        Span {
            before_ns,
            after_ns,
        },
    ))
}

/// A transition that happened.
#[derive(Debug, Clone)]
pub struct Step {
    /// The state that it entered, by the kernel's name.
    pub to: &'static str,
    /// When.
    pub span: Span,
    /// The owner at that time.
    pub owner: Whose,
    /// Whether a tracer need not know the owner.
    pub doubtful: bool,
    /// Who called.
    pub caller: Caller,
    /// Its own end at that time; if it has no port yet, the port that it gets later.
    pub local: SocketAddr,
    /// The other end; a listener has none.
    pub remote: Option<SocketAddr>,
    /// Whether it has no port of its own yet.
    pub portless: bool,
}

/// All that happens to a socket.
#[derive(Debug, Clone)]
pub struct History {
    /// The case that it is an example of.
    pub case: String,
    /// The kernel's cookie; `None` for a socket that no process ever had.
    pub cookie: Option<u64>,
    /// Who opened the connection.
    pub role: Role,
    /// The listener where it came in.
    pub listener: Option<Whose>,
    /// Its first state.
    pub from: &'static str,
    /// Its transitions, in order.
    pub steps: Vec<Step>,
    owner: Whose,
    doubtful: bool,
    local: SocketAddr,
    remote: Option<SocketAddr>,
}

impl History {
    fn new(case: &str, role: Role, from: &'static str, socket: &Socket, owner: Whose) -> Self {
        Self {
            case: case.into(),
            cookie: Some(socket.cookie),
            role,
            listener: None,
            from,
            steps: Vec::new(),
            owner,
            doubtful: false,
            local: socket.local,
            remote: socket.remote,
        }
    }

    /// A socket that a process connects.
    pub fn client(case: &str, socket: &Socket, owner: &Whose) -> Self {
        Self::new(case, Role::Client, "CLOSE", socket, owner.clone())
    }

    /// A socket on which a process listens.
    pub fn listener(case: &str, socket: &Socket, owner: &Whose) -> Self {
        Self::new(case, Role::Server, "CLOSE", socket, owner.clone())
    }

    /// A socket that comes from a listener, and first belongs to the listener's process.
    pub fn server(case: &str, socket: &Socket, listener: &Whose) -> Self {
        let owner = Whose {
            how: How::Listener,
            ..listener.clone()
        };
        let mut history = Self::new(case, Role::Server, "SYN_RECV", socket, owner.clone());
        history.listener = Some(owner);
        history
    }

    /// The server's end of a connection of which only the client's end is known: no process ever has it.
    pub fn unaccepted(case: &str, client: &Socket, at: SocketAddr, listener: &Whose) -> Self {
        let mut history = Self::server(case, client, listener);
        history.cookie = None;
        (history.local, history.remote) = (at, Some(client.local));
        history
    }

    /// From here on it belongs to this process.
    pub fn owned(mut self, owner: &Whose) -> Self {
        (self.owner, self.doubtful) = (owner.clone(), false);
        self
    }

    /// A tracer need not know the owner, until another process owns it.
    pub fn doubtful(mut self) -> Self {
        self.doubtful = true;
        self
    }

    /// From here on it has its current addresses.
    pub fn moved(mut self, socket: &Socket) -> Self {
        (self.local, self.remote) = (socket.local, socket.remote);
        self
    }

    /// It has no port yet at its last transition.
    pub fn portless(mut self) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.portless = true;
        }
        self
    }

    /// It enters a state, because of the network or a timer.
    pub fn then(self, to: &'static str, span: Span) -> Self {
        self.step(to, span, Caller::Nobody)
    }

    /// It enters a state because of a process's system call.
    pub fn called(self, to: &'static str, span: Span, pid: u32) -> Self {
        self.step(to, span, Caller::Process(pid))
    }

    /// It may enter a state because of a process's system call.
    pub fn perhaps(self, to: &'static str, span: Span, pid: u32) -> Self {
        self.step(to, span, Caller::Perhaps(pid))
    }

    fn step(mut self, to: &'static str, span: Span, caller: Caller) -> Self {
        self.steps.push(Step {
            to,
            span,
            owner: self.owner.clone(),
            doubtful: self.doubtful,
            caller,
            local: self.local,
            remote: self.remote,
            portless: false,
        });
        self
    }

    /// It connects, without a port of its own before, and gets an answer.
    pub fn connected(self, span: Span) -> Self {
        let pid = self.owner.pid;
        self.called("SYN_SENT", span, pid)
            .portless()
            .then("ESTABLISHED", span)
    }

    /// It has ended by then.
    pub fn end_ns(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.span.after_ns)
    }

    /// The states from first to last.
    pub fn states(&self) -> Vec<&'static str> {
        let all = self.steps.iter().map(|step| step.to);
        std::iter::once(self.from).chain(all).collect()
    }
}

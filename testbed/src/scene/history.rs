//! What is true of a socket from its first transition to its last, for a log to be held against.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::Role;
use crate::{Socket, clock::monotonic_ns};

/// How a process came by a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It connected.
    Connect,
    /// It accepted.
    Accept,
    /// It listens on it.
    Listen,
    /// It listens where the socket came in, and nobody has accepted it yet.
    Listener,
}

/// Whose a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The process, in the PID namespace of whoever asked.
    pub pid: u32,
    /// The thread that did it.
    pub tid: u32,
    /// The process's name then.
    pub comm: String,
    /// When the process began, in ns since boot, rounded down to [`Whose::TICK_NS`].
    pub started_ns: u64,
    /// How it came by it.
    pub how: How,
}

impl Whose {
    /// The grain of times in `/proc`.
    pub const TICK_NS: u64 = 10_000_000;

    /// A process that is there now, by its main thread.
    pub fn of(pid: u32, how: How) -> Result<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat"));
        let stat = stat.with_context(|| format!("no process {pid}"))?;
        // A name may be any bytes.
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

    /// The same by another thread.
    pub fn thread(self, tid: u32) -> Self {
        Self { tid, ..self }
    }
}

/// Who brought a transition about by a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody: a packet or a timer.
    Nobody,
    /// This process.
    Process(u32),
    /// This process or nobody: it depends on whether a packet was in time, or on how one sees it.
    Perhaps(u32),
}

/// A moment lies within this, of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub before_ns: u64,
    /// Not after.
    pub after_ns: u64,
}

impl Span {
    /// From the beginning of this one to the end of that.
    pub fn to(self, later: Self) -> Self {
        Self {
            after_ns: later.after_ns,
            ..self
        }
    }
}

/// Does something and says when.
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
    /// Whose it was.
    pub owner: Whose,
    /// Whether a tracer may not know that.
    pub doubtful: bool,
    /// Who called.
    pub caller: Caller,
    /// Its own end then; where it has not been given a port yet, the one that it gets.
    pub local: SocketAddr,
    /// The other end; a listener has none.
    pub remote: Option<SocketAddr>,
    /// Whether it has no port of its own yet.
    pub portless: bool,
}

/// All that happens to a socket.
#[derive(Debug, Clone)]
pub struct History {
    /// What it is an example of.
    pub case: String,
    /// The kernel's cookie; `None` for one that nobody ever had.
    pub cookie: Option<u64>,
    /// Who opened the connection.
    pub role: Role,
    /// Who listens where it came in.
    pub listener: Option<Whose>,
    /// The state it began in.
    pub from: &'static str,
    /// What happened, in this order.
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

    /// A socket that somebody connects.
    pub fn client(case: &str, socket: &Socket, owner: &Whose) -> Self {
        Self::new(case, Role::Client, "CLOSE", socket, owner.clone())
    }

    /// A socket on which somebody listens.
    pub fn listener(case: &str, socket: &Socket, owner: &Whose) -> Self {
        Self::new(case, Role::Server, "CLOSE", socket, owner.clone())
    }

    /// A socket that comes out of a listener, at first its listener's.
    pub fn server(case: &str, socket: &Socket, listener: &Whose) -> Self {
        let owner = Whose {
            how: How::Listener,
            ..listener.clone()
        };
        let mut history = Self::new(case, Role::Server, "SYN_RECV", socket, owner.clone());
        history.listener = Some(owner);
        history
    }

    /// The server's end of a connection of which only the client's is known: nobody ever has it.
    pub fn unaccepted(case: &str, client: &Socket, at: SocketAddr, listener: &Whose) -> Self {
        let mut history = Self::server(case, client, listener);
        history.cookie = None;
        (history.local, history.remote) = (at, Some(client.local));
        history
    }

    /// From here on it is this process's.
    pub fn owned(mut self, owner: &Whose) -> Self {
        (self.owner, self.doubtful) = (owner.clone(), false);
        self
    }

    /// A tracer may not know whose it is, until somebody else owns it.
    pub fn doubtful(mut self) -> Self {
        self.doubtful = true;
        self
    }

    /// From here on it has the addresses that it has now.
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

    /// It enters a state, by the network or a timer.
    pub fn then(self, to: &'static str, span: Span) -> Self {
        self.step(to, span, Caller::Nobody)
    }

    /// A process's call has it enter a state.
    pub fn called(self, to: &'static str, span: Span, pid: u32) -> Self {
        self.step(to, span, Caller::Process(pid))
    }

    /// A process's call may have it enter a state.
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

    /// It connects, without a port of its own before, and is answered.
    pub fn connected(self, span: Span) -> Self {
        let pid = self.owner.pid;
        self.called("SYN_SENT", span, pid)
            .portless()
            .then("ESTABLISHED", span)
    }

    /// It is over by then.
    pub fn end_ns(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.span.after_ns)
    }

    /// The states from first to last.
    pub fn states(&self) -> Vec<&'static str> {
        let all = self.steps.iter().map(|step| step.to);
        std::iter::once(self.from).chain(all).collect()
    }
}

//! Connections whose every step is known: how they are opened and ended, and their histories.

use std::{net::SocketAddr, time::Instant};

use anyhow::{Result, bail, ensure};
use testbed::{
    Actor, Family, History, How, Order, Reply, Side, Socket, Span, Stage, Whose,
    clock::patience,
    state::{CLOSE, CLOSE_WAIT},
    timed,
};

/// One end of a connection.
pub struct End {
    pub side: Side,
    /// The worker of that side that has it, if not the actor itself.
    pub by: Option<u32>,
    pub socket: Socket,
    pub history: History,
}

/// A stage, another actor, and what happened on it.
pub struct Scene {
    pub stage: Stage,
    pub listener: Socket,
    pub listens: Whose,
    /// The histories that are complete.
    pub told: Vec<History>,
    opened: Vec<History>,
}

impl Scene {
    /// Makes a scene with a new listener. A tool that must see it begin to listen must be started before.
    pub fn new(mut stage: Stage, family: Family) -> Result<Self> {
        let (listener, history) = listen(&mut stage, family)?;
        Ok(Self {
            listens: Whose::of(stage.server.pid(), How::Listen)?,
            stage,
            listener,
            told: Vec::new(),
            opened: vec![history],
        })
    }

    /// Ends it: closes the listener, and returns everything that happened.
    pub fn finish(mut self) -> Result<(Stage, Vec<History>)> {
        let pid = self.stage.server.pid();
        let fds = vec![self.listener.fd];
        let ((), span) = timed(|| self.stage.server.tell(&Order::Close { fds }).map(drop))?;
        for history in self.opened {
            self.told.push(history.perhaps("CLOSE", span, pid));
        }
        Ok((self.stage, self.told))
    }

    /// The address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.listener.local
    }

    /// The process that has an end.
    pub fn pid(&mut self, end: &End) -> u32 {
        end.by.unwrap_or_else(|| self.stage.actor(end.side).pid())
    }

    /// Gives an order to the process that has an end.
    pub fn tell(&mut self, end: &End, order: Order) -> Result<Reply> {
        let order = match end.by {
            Some(pid) => order.by(pid),
            None => order,
        };
        self.stage.actor(end.side).tell(&order)
    }

    /// Waits until an end is in a state.
    pub fn until(&mut self, end: &End, state: u8) -> Result<()> {
        let fd = end.socket.fd;
        self.tell(end, Order::Await { fd, state }).map(drop)
    }

    /// The server accepts one.
    pub fn accept(&mut self) -> Result<(Socket, Whose)> {
        let fd = self.listener.fd;
        let server = &mut self.stage.server;
        let socket = server.socket(&Order::Accept { fd, count: 1 })?;
        Ok((socket, Whose::of(server.pid(), How::Accept)?))
    }

    /// The client connects.
    pub fn connect(&mut self) -> Result<(Socket, Whose)> {
        let address = self.address();
        let client = &mut self.stage.client;
        let socket = client.socket(&Order::Connect { address, count: 1 })?;
        Ok((socket, Whose::of(client.pid(), How::Connect)?))
    }

    /// An ordinary connection.
    pub fn connection(&mut self, case: &str) -> Result<[End; 2]> {
        let ((client, server), span) = timed(|| Ok((self.connect()?, self.accept()?)))?;
        self.ends(case, client, server, span)
    }

    /// The ends of a connection that was opened and accepted.
    pub fn ends(
        &self,
        case: &str,
        (client, connector): (Socket, Whose),
        (server, accepter): (Socket, Whose),
        span: Span,
    ) -> Result<[End; 2]> {
        ensure!(
            server.remote == Some(client.local),
            "a stranger was accepted"
        );
        let by = |pid: u32, actor: &Actor| (pid != actor.pid()).then_some(pid);
        let client_history = History::client(&format!("{case}, client"), &client, &connector);
        let server_history = History::server(&format!("{case}, server"), &server, &self.listens);
        let client = End {
            side: Side::Client,
            by: by(connector.pid, &self.stage.client),
            history: client_history.connected(span),
            socket: client,
        };
        let server = End {
            side: Side::Server,
            by: by(accepter.pid, &self.stage.server),
            history: server_history.then("ESTABLISHED", span).owned(&accepter),
            socket: server,
        };
        Ok([client, server])
    }

    /// One end closes, then the other.
    pub fn orderly(&mut self, [first, second]: [End; 2]) -> Result<()> {
        let fds = vec![first.socket.fd];
        let ((), one) = timed(|| {
            self.tell(&first, Order::Close { fds })?;
            self.until(&second, CLOSE_WAIT)
        })?;
        let (pid, other) = (self.pid(&first), self.pid(&second));
        let fds = vec![second.socket.fd];
        let ((), two) = timed(|| {
            self.tell(&second, Order::Close { fds })?;
            self.gone(&second.socket)?;
            self.gone(&first.socket)
        })?;
        let both = one.to(two);
        let first = first.history.called("FIN_WAIT1", one, pid);
        // Its last step may be part of its close, if the acknowledgement arrives before that call returns.
        let first = first.then("FIN_WAIT2", both).perhaps("CLOSE", both, pid);
        let second = second.history.then("CLOSE_WAIT", one);
        let second = second.called("LAST_ACK", two, other).then("CLOSE", two);
        self.told.extend([first, second]);
        Ok(())
    }

    /// One end resets the connection.
    pub fn reset(&mut self, [first, second]: [End; 2]) -> Result<()> {
        let fds = vec![first.socket.fd];
        let ((), span) = timed(|| {
            self.tell(&first, Order::Reset { fds })?;
            self.until(&second, CLOSE)
        })?;
        let pid = self.pid(&first);
        let fds = vec![second.socket.fd];
        self.tell(&second, Order::Close { fds })?;
        self.told.push(first.history.perhaps("CLOSE", span, pid));
        self.told.push(second.history.then("CLOSE", span));
        Ok(())
    }

    /// Waits until the kernel has no socket with these ends any more, except one in TIME_WAIT.
    pub fn gone(&self, socket: &Socket) -> Result<()> {
        let start = Instant::now();
        while present(&self.stage, socket)? {
            if start.elapsed() > patience() {
                bail!("{socket:?} is still there");
            }
        }
        Ok(())
    }
}

/// Makes a new listener of the server. Also returns the beginning of its history.
pub fn listen(stage: &mut Stage, family: Family) -> Result<(Socket, History)> {
    let address = SocketAddr::new(family.loopback(), 0);
    let backlog = 64;
    let order = Order::Listen { address, backlog };
    let (socket, span) = timed(|| stage.server.socket(&order))?;
    let (pid, owner) = (
        stage.server.pid(),
        Whose::of(stage.server.pid(), How::Listen)?,
    );
    let history = History::listener("a listener", &socket, &owner);
    Ok((socket, history.called("LISTEN", span, pid)))
}

fn present(stage: &Stage, socket: &Socket) -> Result<bool> {
    let Some(remote) = socket.remote else {
        bail!("a listener has no other end");
    };
    let table = if socket.local.is_ipv4() {
        "/proc/thread-self/net/tcp"
    } else {
        "/proc/thread-self/net/tcp6"
    };
    let text = stage
        .netns()
        .run(move || std::fs::read_to_string(table))??;
    let (local, remote) = (port(socket.local), port(remote));
    Ok(text.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let mut is = |port: &str| words.next().is_some_and(|word| word.ends_with(port));
        is(&local) && is(&remote) && !line_in_time_wait(line)
    }))
}

fn port(address: SocketAddr) -> String {
    format!(":{:04X}", address.port())
}

fn line_in_time_wait(line: &str) -> bool {
    line.split_whitespace().nth(3) == Some("06")
}

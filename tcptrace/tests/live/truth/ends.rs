//! The ways in which a connection goes to CLOSE: who or what ends it, and whether a process has it open afterwards.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::{Context, Result, bail};
use testbed::{
    Actor, Family, Order, Pair, Reply, Socket, Stage,
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT2},
};

/// What is true about the last transition of a socket.
#[derive(Debug, Clone)]
pub struct End {
    pub what: &'static str,
    pub cookie: u64,
    pub local: SocketAddr,
    pub remote: Option<SocketAddr>,
    pub from: &'static str,
    pub ended: &'static str,
    /// The process whose call it was; `None` for the network and for timers.
    pub caller: Option<u32>,
    /// Whether its process still has it open.
    pub kept: bool,
}

/// Two processes, and the ends of the server's sockets.
pub struct Ends {
    pub stage: Stage,
    pub all: Vec<End>,
    /// Processes that hold something.
    others: Vec<Actor>,
}

/// Until the socket is known.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// An end by a call of this process.
const fn closed(what: &'static str, from: &'static str, pid: u32) -> End {
    End {
        what,
        cookie: 0,
        local: NOWHERE,
        remote: None,
        from,
        ended: "closed",
        caller: Some(pid),
        kept: false,
    }
}

/// An end by somebody else, after which the descriptor stays.
const fn residue(what: &'static str, from: &'static str) -> End {
    End {
        ended: "reset_still_open",
        caller: None,
        kept: true,
        ..closed(what, from, 0)
    }
}

impl Ends {
    /// Makes sockets end in all ways.
    pub fn all() -> Result<Self> {
        let (stage, all, others) = (Stage::new()?, Vec::new(), Vec::new());
        Ok(Self { stage, all, others })
    }

    /// Does everything; some of it takes seconds.
    pub fn play(&mut self) -> Result<()> {
        for family in [Family::Ipv4, Family::Ipv6] {
            self.by_call(family)?;
            self.by_the_network(family)?;
            self.orphans(family)?;
        }
        self.killed()?;
        self.silent()
    }

    fn add(&mut self, socket: &Socket, end: End) {
        self.all.push(End {
            cookie: socket.cookie,
            local: socket.local,
            remote: socket.remote,
            ..end
        });
    }

    fn pair(&mut self, family: Family) -> Result<Pair> {
        self.stage.connect(family, 1)?.pop().context("no pair")
    }

    /// The same, with the server's end in CLOSE_WAIT.
    fn waiting(&mut self, family: Family, bytes: usize) -> Result<Pair> {
        let pair = self.pair(family)?;
        let fd = pair.client.fd;
        if bytes > 0 {
            self.stage.client.tell(&Order::Send { fd, bytes })?;
        }
        self.stage.client.tell(&Order::Shutdown { fd })?;
        self.until(pair.server.fd, CLOSE_WAIT)?;
        Ok(pair)
    }

    fn until(&mut self, fd: i32, state: u8) -> Result<()> {
        let order = Order::Await { fd, state };
        self.stage.server.tell(&order).map(drop)
    }

    fn by_call(&mut self, family: Family) -> Result<()> {
        let pid = self.stage.server.pid();
        let pair = self.waiting(family, 9)?;
        let fds = vec![pair.server.fd];
        self.stage.server.tell(&Order::Close { fds })?;
        self.add(&pair.server, closed("unread data", "CLOSE_WAIT", pid));

        let pair = self.pair(family)?;
        let fds = vec![pair.server.fd];
        self.stage.server.tell(&Order::Reset { fds })?;
        self.add(&pair.server, closed("linger 0", "ESTABLISHED", pid));

        let pair = self.waiting(family, 0)?;
        let fd = pair.server.fd;
        self.stage.server.tell(&Order::Disconnect { fd })?;
        self.add(&pair.server, closed("AF_UNSPEC", "CLOSE_WAIT", pid));

        // A worker has it alone: neither its owner nor its opener.
        let pair = self.waiting(family, 9)?;
        let fds = vec![pair.server.fd];
        let worker = self.stage.server.worker("heir", &fds)?;
        self.stage.server.tell(&Order::Close { fds: fds.clone() })?;
        self.stage.server.tell(&Order::Close { fds }.by(worker))?;
        self.add(&pair.server, closed("by a worker", "CLOSE_WAIT", worker));
        self.stage.server.tell(&Order::EndChild { pid: worker })?;
        Ok(())
    }

    fn by_the_network(&mut self, family: Family) -> Result<()> {
        let pair = self.pair(family)?;
        let fds = vec![pair.client.fd];
        self.stage.client.tell(&Order::Reset { fds })?;
        self.until(pair.server.fd, CLOSE)?;
        self.add(&pair.server, residue("a reset", "ESTABLISHED"));

        // The answer to its own write: the reset comes during its own call.
        let pair = self.waiting(family, 0)?;
        let fds = vec![pair.client.fd];
        self.stage.client.tell(&Order::Close { fds })?;
        let (fd, bytes) = (pair.server.fd, 1);
        self.stage.server.tell(&Order::Send { fd, bytes })?;
        self.until(fd, CLOSE)?;
        self.add(&pair.server, residue("a write", "CLOSE_WAIT"));

        // It is residue until it is closed.
        let pair = self.waiting(family, 0)?;
        let fds = vec![pair.client.fd];
        self.stage.client.tell(&Order::Reset { fds })?;
        self.until(pair.server.fd, CLOSE)?;
        let fds = vec![pair.server.fd];
        self.stage.server.tell(&Order::Close { fds })?;
        let end = End {
            kept: false,
            ..residue("closed later", "CLOSE_WAIT")
        };
        self.add(&pair.server, end);

        let pair = self.waiting(family, 0)?;
        let fd = pair.server.fd;
        match self.stage.server.tell(&Order::Destroy { fd })? {
            Reply::Time(_) => {}
            // This kernel destroys no sockets.
            Reply::Error(libc::EOPNOTSUPP) => return Ok(()),
            other => bail!("it is not destroyed: {other:?}"),
        }
        self.until(fd, CLOSE)?;
        // The test's own process asks for it, and that is the server.
        self.add(&pair.server, residue("destroyed", "CLOSE_WAIT"));
        Ok(())
    }

    /// Sockets that no process has any more.
    fn orphans(&mut self, family: Family) -> Result<()> {
        let pid = self.stage.server.pid();
        let orphan = |what, from, ended| End {
            ended,
            caller: None,
            ..closed(what, from, pid)
        };
        let pair = self.waiting(family, 0)?;
        let (fd, peer) = (pair.server.fd, pair.client.fd);
        self.stage.client.tell(&Order::Deafen { fd: peer })?;
        let fds = vec![fd];
        self.stage.server.tell(&Order::Close { fds })?;
        let fds = vec![peer];
        self.stage.client.tell(&Order::Reset { fds })?;
        self.add(&pair.server, orphan("in LAST_ACK", "LAST_ACK", "reset"));

        let pair = self.waiting(family, 0)?;
        let fds = vec![pair.server.fd];
        self.stage.server.tell(&Order::Close { fds })?;
        self.add(&pair.server, orphan("orderly", "LAST_ACK", "closed"));

        // The peer's FIN comes while the process has it open.
        let pair = self.pair(family)?;
        let (fd, peer) = (pair.server.fd, pair.client.fd);
        self.stage.server.tell(&Order::Shutdown { fd })?;
        self.until(fd, FIN_WAIT2)?;
        self.stage.client.tell(&Order::Shutdown { fd: peer })?;
        self.until(fd, CLOSE)?;
        self.add(&pair.server, orphan("a FIN", "FIN_WAIT2", "closed"));

        // The process closes it before that.
        let pair = self.pair(family)?;
        let fd = pair.server.fd;
        self.stage.server.tell(&Order::Shutdown { fd })?;
        self.until(fd, FIN_WAIT2)?;
        let fds = vec![fd];
        self.stage.server.tell(&Order::Close { fds })?;
        let end = closed("no FIN", "FIN_WAIT2", pid);
        let ended = "to_remainder";
        self.add(&pair.server, End { ended, ..end });
        Ok(())
    }

    /// The process ends with data that it has not read.
    fn killed(&mut self) -> Result<()> {
        let mut victim = Actor::start(self.stage.netns(), "victim")?;
        let listener = self.stage.listener(Family::Ipv4);
        let (address, count) = (listener.local, 1);
        let socket = victim.socket(&Order::Connect { address, count })?;
        let server = self.stage.accept(Family::Ipv4, 1)?;
        let fd = server.first().context("nothing was accepted")?.fd;
        let (pid, bytes) = (victim.pid(), 9);
        self.stage.server.tell(&Order::Send { fd, bytes })?;
        let state = ESTABLISHED;
        victim.tell(&Order::Await {
            fd: socket.fd,
            state,
        })?;
        victim.kill();
        self.until(fd, CLOSE)?;
        self.add(&socket, closed("killed", "ESTABLISHED", pid));
        // The data was never read: its peer is reset.
        let server = &server[0].clone();
        self.add(server, residue("the peer was killed", "ESTABLISHED"));
        self.others.push(victim);
        Ok(())
    }

    /// Nothing comes from the peer any more.
    fn silent(&mut self) -> Result<()> {
        let pair = self.waiting(Family::Ipv4, 0)?;
        let (fd, peer) = (pair.server.fd, pair.client.fd);
        self.stage.client.tell(&Order::Await {
            fd: peer,
            state: FIN_WAIT2,
        })?;
        self.stage.client.tell(&Order::Deafen { fd: peer })?;
        let (idle, interval, count) = (1, 1, 1);
        self.stage.server.tell(&Order::Keepalive {
            fd,
            idle,
            interval,
            count,
        })?;
        self.until(fd, CLOSE)?;
        self.add(&pair.server, residue("keepalive", "CLOSE_WAIT"));
        Ok(())
    }

    /// How many of the given state ended in this way.
    pub fn count(&self, from: &str, ended: &str) -> u64 {
        let all = self.all.iter();
        all.filter(|end| end.from == from && end.ended == ended)
            .count() as u64
    }
}

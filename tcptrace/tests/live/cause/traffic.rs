//! What goes over connections before they are stuck.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use testbed::{Actor, Family, Netns, Order, Pair, Socket, state::CLOSE_WAIT};

/// Bytes of a request.
pub const REQUEST: usize = 80;
/// Bytes of an answer.
pub const ANSWER: usize = 20;

/// A process that listens, and its listener.
pub struct Upstream {
    pub actor: Actor,
    pub listener: Socket,
}

impl Upstream {
    pub fn new(netns: &Netns, comm: &str) -> Result<Self> {
        let mut actor = Actor::start(netns, comm)?;
        let address = SocketAddr::new(Family::Ipv4.loopback(), 0);
        let backlog = 2048;
        let listener = actor.socket(&Order::Listen { address, backlog })?;
        Ok(Self { actor, listener })
    }

    /// Connections from a process.
    pub fn connect(&mut self, from: &mut Actor, count: usize) -> Result<Vec<Pair>> {
        let (address, fd) = (self.listener.local, self.listener.fd);
        let clients = from.sockets(&Order::Connect { address, count })?;
        let servers = self.actor.sockets(&Order::Accept { fd, count })?;
        let mut by_remote: HashMap<_, _> = servers
            .into_iter()
            .map(|socket| (socket.remote, socket))
            .collect();
        let pair = |client: Socket| {
            let server = by_remote.remove(&Some(client.local));
            let server = server.context("a stranger was accepted")?;
            Ok(Pair { client, server })
        };
        clients.into_iter().map(pair).collect()
    }
}

pub fn send(actor: &mut Actor, socket: &Socket, bytes: usize) -> Result<()> {
    let fd = socket.fd;
    actor.tell(&Order::Send { fd, bytes }).map(drop)
}

pub fn read(actor: &mut Actor, socket: &Socket, bytes: usize) -> Result<()> {
    let fd = socket.fd;
    actor.tell(&Order::Read { fd, bytes }).map(drop)
}

/// A request that is read.
pub fn ask(client: &mut Actor, server: &mut Actor, pair: &Pair) -> Result<()> {
    send(client, &pair.client, REQUEST)?;
    read(server, &pair.server, REQUEST)
}

/// A request and its answer, both of which are read.
pub fn exchange(client: &mut Actor, server: &mut Actor, pair: &Pair) -> Result<()> {
    ask(client, server, pair)?;
    send(server, &pair.server, ANSWER)?;
    read(client, &pair.client, ANSWER)
}

/// Closes this direction, and waits until the other side knows.
pub fn fin(actor: &mut Actor, sockets: &[&Socket]) -> Result<()> {
    let fds = sockets.iter().map(|socket| socket.fd).collect();
    actor.tell(&Order::ShutdownAll { fds }).map(drop)
}

/// The clients' ends.
pub fn clients(pairs: &[Pair]) -> Vec<&Socket> {
    pairs.iter().map(|pair| &pair.client).collect()
}

/// The servers' ends.
pub fn servers(pairs: &[Pair]) -> Vec<&Socket> {
    pairs.iter().map(|pair| &pair.server).collect()
}

/// Leaves connections as a client does that reads the body of an answer and never looks again: the server answers and
/// closes at once. Of every other one the FIN came with the answer, and was read with it. Returns the longest time that
/// may have been between an answer and its FIN.
pub fn lease(client: &mut Actor, server: &mut Actor, pairs: &[Pair]) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for (number, pair) in pairs.iter().enumerate() {
        ask(client, server, pair)?;
        let (own, peer) = (pair.client.fd, pair.server.fd);
        let state = CLOSE_WAIT;
        if number % 2 == 0 {
            let (fd, bytes) = (peer, ANSWER);
            server.tell(&Order::SendLast { fd, bytes })?;
            client.time(&Order::Await { fd: own, state })?;
            read(client, &pair.client, ANSWER)?;
        } else {
            let start = Instant::now();
            send(server, &pair.server, ANSWER)?;
            read(client, &pair.client, ANSWER)?;
            server.time(&Order::Shutdown { fd: peer })?;
            client.time(&Order::Await { fd: own, state })?;
            longest = longest.max(start.elapsed());
        }
    }
    Ok(longest)
}

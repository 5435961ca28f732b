//! A server and a client in one namespace, and the ways in which they leave sockets behind.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, bail};

use super::{Role, Side, Truth};
use crate::{Actor, Netns, Order, Reply, Socket, state::CLOSE_WAIT};

/// The three forms of an address of a TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `127.0.0.1` on an IPv4 socket.
    Ipv4,
    /// `::1`.
    Ipv6,
    /// `::ffff:127.0.0.1` on an IPv6 socket.
    Mapped,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ipv4, Self::Ipv6, Self::Mapped];

    /// The loopback of this family.
    pub fn loopback(self) -> IpAddr {
        match self {
            Self::Ipv4 => Ipv4Addr::LOCALHOST.into(),
            Self::Ipv6 => Ipv6Addr::LOCALHOST.into(),
            Self::Mapped => Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        }
    }
}

/// A connection: both its ends.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The end in the client.
    pub client: Socket,
    /// The end in the server.
    pub server: Socket,
}

impl Pair {
    /// The end on one side.
    pub fn end(&self, side: Side) -> &Socket {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

/// A server and a client in a network namespace of their own.
#[derive(Debug)]
pub struct Stage {
    /// The one that connects.
    pub client: Actor,
    /// The one that listens.
    pub server: Actor,
    listeners: HashMap<Family, Socket>,
    // Last, so that it is dropped last.
    netns: Netns,
}

impl Stage {
    /// Creates a stage: a new namespace, and a server that listens for every family.
    pub fn new() -> Result<Self> {
        let netns = Netns::new()?;
        let (mut server, client) = (
            Actor::start(&netns, "leaky-server")?,
            Actor::start(&netns, "leaky-client")?,
        );
        let mut listeners = HashMap::new();
        for family in Family::ALL {
            let address = SocketAddr::new(family.loopback(), 0);
            listeners.insert(
                family,
                server.socket(&Order::Listen {
                    address,
                    backlog: 2048,
                })?,
            );
        }
        Ok(Self {
            client,
            server,
            listeners,
            netns,
        })
    }

    /// The namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The listening socket for a family.
    pub fn listener(&self, family: Family) -> &Socket {
        // `new` created one for each.
        &self.listeners[&family]
    }

    /// The actor on a side.
    pub fn actor(&mut self, side: Side) -> &mut Actor {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Connections, accepted.
    pub fn connect(&mut self, family: Family, count: usize) -> Result<Vec<Pair>> {
        let clients = self.queue(family, count)?;
        let servers = self.accept(family, count)?;
        let mut by_remote: HashMap<_, _> = servers
            .into_iter()
            .map(|socket| (socket.remote, socket))
            .collect();
        let pair = |client: Socket| {
            let server = by_remote
                .remove(&Some(client.local))
                .context("a stranger was accepted")?;
            Ok(Pair { client, server })
        };
        clients.into_iter().map(pair).collect()
    }

    /// Connections that wait to be accepted: the clients' ends.
    pub fn queue(&mut self, family: Family, count: usize) -> Result<Vec<Socket>> {
        let address = self.listener(family).local;
        self.client.sockets(&Order::Connect { address, count })
    }

    /// Accepts connections that wait.
    pub fn accept(&mut self, family: Family, count: usize) -> Result<Vec<Socket>> {
        let fd = self.listener(family).fd;
        self.server.sockets(&Order::Accept { fd, count })
    }

    /// Makes the peer close its direction, so that the ends on `side` are in CLOSE_WAIT.
    pub fn leak(&mut self, pairs: &[Pair], side: Side) -> Result<Vec<Truth>> {
        pairs.iter().map(|pair| self.leak_one(pair, side)).collect()
    }

    fn leak_one(&mut self, pair: &Pair, side: Side) -> Result<Truth> {
        let (stuck, peer) = (pair.end(side), pair.end(side.other()));
        let before_ns = self
            .actor(side.other())
            .time(&Order::Shutdown { fd: peer.fd })?;
        let actor = self.actor(side);
        let after_ns = actor.time(&Order::Await {
            fd: stuck.fd,
            state: CLOSE_WAIT,
        })?;
        Ok(Truth {
            cookie: Some(stuck.cookie),
            inode: stuck.inode,
            local: stuck.local,
            remote: stuck.remote.context("not connected")?,
            role: if side == Side::Client {
                Role::Client
            } else {
                Role::Server
            },
            accepted: true,
            holders: [(actor.pid(), stuck.fd)].into(),
            listener: None,
            receiver: None,
            before_ns,
            after_ns,
        })
    }

    /// Server leaks: `count` sockets of a family that the server accepted and does not close.
    pub fn server_leak(&mut self, family: Family, count: usize) -> Result<Vec<Truth>> {
        let pairs = self.connect(family, count)?;
        self.leak(&pairs, Side::Server)
    }

    /// Client leaks: `count` sockets of a family that the client opened and does not close.
    pub fn client_leak(&mut self, family: Family, count: usize) -> Result<Vec<Truth>> {
        let pairs = self.connect(family, count)?;
        self.leak(&pairs, Side::Client)
    }

    /// Connections that no process accepts and whose client has closed.
    ///
    /// The bracket is wider than that of other sockets, by up to 40 ms, the possible delay of an acknowledgement. No
    /// process has the socket, so the only sign that the FIN has arrived is its acknowledgement at the peer.
    pub fn never_accepted(&mut self, family: Family, count: usize) -> Result<Vec<Truth>> {
        let clients = self.queue(family, count)?;
        let fds = clients.iter().map(|socket| socket.fd).collect();
        let Reply::Brackets(brackets) = self.client.tell(&Order::ShutdownAll { fds })? else {
            bail!("no brackets in the answer");
        };
        let (local, listener) = (self.listener(family).local, Some(self.server.pid()));
        let truth = |(client, (before_ns, after_ns)): (&Socket, (u64, u64))| Truth {
            cookie: None,
            inode: 0,
            local,
            remote: client.local,
            role: Role::Server,
            accepted: false,
            holders: [].into(),
            listener,
            receiver: None,
            before_ns,
            after_ns,
        };
        Ok(clients.iter().zip(brackets).map(truth).collect())
    }
}

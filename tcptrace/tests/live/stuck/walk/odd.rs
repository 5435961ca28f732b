//! Sockets of all kinds, held by one process, and which of them are dead in the network.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use testbed::{
    Family, Order, Role, Socket, Span, Stage,
    clock::slowness,
    state::{CLOSE, CLOSE_WAIT},
};

use crate::{
    harness::verdict::Ignored,
    run::snapshot::{Residue, Snapshot},
};

/// How far the moment of a death may be from the truth, as the documentation says.
const DIED_NS: u64 = 10_000_000;

/// How a socket died, and that it is in the residue.
pub struct Death {
    pub by: &'static str,
    pub was_close_wait: bool,
    /// Whether the tool can know that.
    pub certain: bool,
    pub when: Span,
}

/// What is true about a socket that stays open.
pub enum Truth {
    /// It is none of these.
    Other,
    /// A connect failed, at this address.
    FailedConnect(SocketAddr),
    /// It died.
    Died(Socket, Death),
}

/// The server, which holds all the sockets, and the client, which is their peer.
pub struct Odd {
    pub stage: Stage,
    /// The client's listeners, for sockets that the server connects.
    of_client: BTreeMap<SocketAddr, Socket>,
    /// By inode: what it is, its descriptor, and the truth.
    all: BTreeMap<u64, (String, i32, Truth)>,
}

/// Ends a connection, of which the first end is the one to look at.
pub type End = fn(&mut Odd, &Socket, &Socket) -> Result<Death>;

impl Odd {
    pub fn new() -> Result<Self> {
        let mut stage = Stage::new()?;
        let mut of_client = BTreeMap::new();
        for family in Family::ALL {
            let address = SocketAddr::new(family.loopback(), 0);
            let backlog = 8;
            let listener = stage.client.socket(&Order::Listen { address, backlog })?;
            of_client.insert(address, listener);
        }
        Ok(Self {
            stage,
            of_client,
            all: BTreeMap::new(),
        })
    }

    pub fn keep(&mut self, what: &str, socket: &Socket, truth: Truth) {
        self.all
            .insert(socket.inode, (what.into(), socket.fd, truth));
    }

    /// A connection, and the server's end of it first, which has this role.
    pub fn pair(&mut self, role: Role, family: Family) -> Result<(Socket, Socket)> {
        if role == Role::Server {
            let pair = self.stage.connect(family, 1)?.pop().context("no pair")?;
            return Ok((pair.server, pair.client));
        }
        let listener = &self.of_client[&SocketAddr::new(family.loopback(), 0)];
        let (fd, address) = (listener.fd, listener.local);
        let count = 1;
        let own = self
            .stage
            .server
            .socket(&Order::Connect { address, count })?;
        Ok((own, self.stage.client.socket(&Order::Accept { fd, count })?))
    }

    pub fn died(&mut self, what: &str, role: Role, family: Family, end: End) -> Result<()> {
        let (own, peer) = self.pair(role, family)?;
        let what = format!("{what}, {role:?}, {family:?}");
        let death = end(self, &own, &peer).with_context(|| what.clone())?;
        self.keep(&what, &own, Truth::Died(own.clone(), death));
        Ok(())
    }

    pub fn open(&mut self, address: SocketAddr, bind: bool) -> Result<Socket> {
        let local = address;
        self.stage.server.socket(&Order::Open { local, bind })
    }

    pub fn until(&mut self, own: &Socket, state: u8) -> Result<u64> {
        self.stage.server.time(&Order::Await { fd: own.fd, state })
    }

    pub fn own_fin(&mut self, own: &Socket, state: u8) -> Result<()> {
        self.stage.server.tell(&Order::Shutdown { fd: own.fd })?;
        self.until(own, state).map(drop)
    }

    pub fn peers_fin(&mut self, own: &Socket, peer: &Socket) -> Result<()> {
        self.stage.client.tell(&Order::Shutdown { fd: peer.fd })?;
        self.until(own, CLOSE_WAIT).map(drop)
    }

    pub fn close_peer(&mut self, peer: &Socket) -> Result<u64> {
        let fds = vec![peer.fd];
        self.stage.client.time(&Order::Close { fds })
    }

    pub fn peer_resets(&mut self, own: &Socket, peer: &Socket) -> Result<Span> {
        let fds = vec![peer.fd];
        let before_ns = self.stage.client.time(&Order::Reset { fds })?;
        let after_ns = self.until(own, CLOSE)?;
        Ok(Span {
            before_ns,
            after_ns,
        })
    }

    /// Checks that the tool can see such sockets on this kernel.
    pub fn can_look(&self, look: &Snapshot) -> Result<()> {
        if look.has_caveat("residue_not_looked_for") {
            return Err(Ignored::because("this kernel cannot walk over descriptors"));
        }
        Ok(())
    }

    /// Checks that the look shows exactly those that died and those whose connect failed.
    pub fn check(&self, look: &Snapshot) -> Result<()> {
        self.can_look(look)?;
        let mut residue = by_inode(look.residue.as_deref().unwrap_or_default())?;
        let mut failed = by_inode(look.failed_connects.as_deref().unwrap_or_default())?;
        for (inode, (what, fd, truth)) in &self.all {
            let (dead, connect) = (residue.remove(inode), failed.remove(inode));
            let right = match (truth, dead, connect) {
                (Truth::Other, None, None) => Ok(()),
                (Truth::FailedConnect(to), None, Some(found)) => {
                    self.connect_right(found, *fd, *to)
                }
                (Truth::Died(socket, death), Some(found), None) => {
                    self.death_right(found, socket, death)
                }
                (_, dead, connect) => bail!("{what}: residue {dead:#?}, connect {connect:#?}"),
            };
            let found = || format!("{what}: {:#?}", dead.or(connect));
            right.with_context(found)?;
        }
        ensure!(residue.is_empty(), "invented: {residue:#?}");
        ensure!(failed.is_empty(), "invented: {failed:#?}");
        Ok(())
    }

    fn held_right(&self, found: &Residue, fd: i32) -> Result<()> {
        let holders: Vec<_> = found.holders.iter().map(|one| one.descriptor()).collect();
        let expected = [Some((self.stage.server.pid(), fd))];
        ensure!(holders == expected, "wrong holders, not {expected:?}");
        ensure!(found.netns == self.stage.netns().inode(), "wrong namespace");
        Ok(())
    }

    fn connect_right(&self, found: &Residue, fd: i32, to: SocketAddr) -> Result<()> {
        self.held_right(found, fd)?;
        ensure!(found.remote.socket_addr() == Some(to), "it was {to}");
        ensure!(found.died_by.is_none(), "it never lived");
        Ok(())
    }

    fn death_right(&self, found: &Residue, socket: &Socket, death: &Death) -> Result<()> {
        self.held_right(found, socket.fd)?;
        ensure!(
            found.local.socket_addr() == Some(socket.local)
                && found.remote.socket_addr() == socket.remote,
            "wrong ends"
        );
        let family = if socket.local.is_ipv4() {
            "ipv4"
        } else {
            "ipv6"
        };
        ensure!(found.family == family, "wrong family");
        ensure!(
            found.died_by.as_deref() == Some(death.by),
            "not {}",
            death.by
        );
        let was = Some(death.was_close_wait).filter(|_| death.certain);
        ensure!(found.was_close_wait == was, "was_close_wait is {was:?}");
        let died_ns = found.died_ns.context("no moment")?;
        let (before_ns, after_ns) = (death.when.before_ns, death.when.after_ns);
        let off_ns = before_ns.saturating_sub(died_ns) + died_ns.saturating_sub(after_ns);
        ensure!(
            off_ns <= DIED_NS * u64::from(slowness()),
            "it died between {before_ns} and {after_ns}"
        );
        Ok(())
    }
}

fn by_inode(all: &[Residue]) -> Result<BTreeMap<u64, &Residue>> {
    let by: BTreeMap<_, _> = all.iter().map(|one| (one.inode, one)).collect();
    ensure!(by.len() == all.len(), "listed twice: {all:#?}");
    Ok(by)
}

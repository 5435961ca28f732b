//! What a minute changes, for one look and for a session: a leak is sure then, and what is none still is none.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use testbed::{Actor, Netns, Order, Pair, state::CLOSE_WAIT};

use super::{
    check::said,
    clients::gap_right,
    sessions::watch,
    traffic::{REQUEST, Upstream, clients, exchange, fin, lease, send, servers},
};
use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

/// When it is sure, with something more for what the kernel's ticks leave open.
const SURE: Duration = Duration::from_secs(62);
const POOL: usize = 100;
const FEW: usize = 10;

pub fn add(cases: &mut Cases) {
    cases.add("cause_after_a_minute", after_a_minute).here();
}

/// Processes that have sockets for different reasons, and their peers.
struct Scene {
    /// A pool of which no connection is given back: [`POOL`] of them, with the longest time between answer and FIN.
    pool: Actor,
    longest: Duration,
    /// Connections lie idle, [`FEW`] of them, and the server closes them after 2 s.
    idle: Actor,
    /// The same, and the server's process ends.
    orphaned: Actor,
    /// All was answered and the end was read: [`FEW`].
    deaf: Upstream,
    /// Requests that nobody reads: [`FEW`].
    starved: Upstream,
    made: Instant,
    /// Their peers.
    _peers: [Actor; 2],
    /// Last, so that it is dropped last.
    _netns: Netns,
}

impl Scene {
    fn new(netns: Netns) -> Result<Self> {
        let mut server = Upstream::new(&netns, "server")?;
        let mut doomed = Upstream::new(&netns, "doomed")?;
        let mut pool = Actor::start(&netns, "pool")?;
        let mut idle = Actor::start(&netns, "idle")?;
        let mut orphaned = Actor::start(&netns, "orphaned")?;
        let mut deaf = Upstream::new(&netns, "deaf")?;
        let mut starved = Upstream::new(&netns, "starved")?;
        let mut client = Actor::start(&netns, "client")?;

        let unused = server.connect(&mut idle, FEW)?;
        let lost = doomed.connect(&mut orphaned, FEW)?;
        for (unused, lost) in unused.iter().zip(&lost) {
            for _ in 0..3 {
                exchange(&mut idle, &mut server.actor, unused)?;
                exchange(&mut orphaned, &mut doomed.actor, lost)?;
            }
            sleep(Duration::from_millis(80));
        }
        doomed.actor.kill();
        await_all(&mut orphaned, &lost)?;

        let answered = deaf.connect(&mut client, FEW)?;
        for pair in &answered {
            exchange(&mut client, &mut deaf.actor, pair)?;
        }
        let unread = starved.connect(&mut client, FEW)?;
        for pair in &unread {
            send(&mut client, &pair.client, REQUEST)?;
        }
        sleep(Duration::from_secs(2));
        let leased = server.connect(&mut pool, POOL)?;
        let longest = lease(&mut pool, &mut server.actor, &leased)?;
        fin(&mut server.actor, &servers(&unused))?;
        fin(&mut client, &clients(&answered))?;
        fin(&mut client, &clients(&unread))?;
        for pair in &answered {
            deaf.actor.tell(&Order::Drain { fd: pair.server.fd })?;
        }
        Ok(Self {
            pool,
            longest,
            idle,
            orphaned,
            deaf,
            starved,
            made: Instant::now(),
            _peers: [server.actor, client],
            _netns: netns,
        })
    }

    /// Checks a look, in which sure leaks have this answer.
    fn check(&self, look: &Snapshot, sure: &str) -> Result<()> {
        let pool = said(look, self.pool.pid(), "client")?;
        pool.is(POOL, "leased", sure)?
            .because(&["Recv-Q 0 on 50, 1 on 50: nobody looked since"])?;
        gap_right(pool.fin_gap()?, POOL, Duration::ZERO, self.longest)?;
        let first = look.groups.first().context("no group")?;
        ensure!(first.pid == Some(self.pool.pid()), "the largest is first");

        said(look, self.deaf.actor.pid(), "server")?.is(FEW, "eof_ignored", sure)?;
        said(look, self.starved.actor.pid(), "server")?
            .is(FEW, "starved", "unknown")?
            .leak_because(&["the oldest has been there for"])?;
        said(look, self.idle.pid(), "client")?.is(FEW, "idle_pooled", "unknown")?;
        said(look, self.orphaned.pid(), "client")?
            .is(FEW, "idle_pooled", "unknown")?
            .because(&["the peer's process ended?"])?;
        Ok(())
    }
}

fn await_all(actor: &mut Actor, pairs: &[Pair]) -> Result<()> {
    let fds = pairs.iter().map(|pair| pair.client.fd).collect();
    let state = CLOSE_WAIT;
    actor.tell(&Order::AwaitAll { fds, state }).map(drop)
}

/// It is unknown before, from both.
fn after_a_minute() -> Result<()> {
    let netns = Netns::new()?;
    let inode = netns.inode();
    let mut session = watch(inode, "2s")?;
    let scene = Scene::new(netns)?;
    let look = || Tool::look(Place::AsIs, inode, &[]);
    scene.check(&look()?, "unknown").context("one look")?;
    scene
        .check(&session.fresh()?, "unknown")
        .context("session")?;
    sleep((scene.made + SURE).saturating_duration_since(Instant::now()));
    scene.check(&look()?, "yes").context("one look, later")?;
    let last = session.fresh()?;
    scene.check(&last, "yes").context("session, later")?;
    let pool = said(&last, scene.pool.pid(), "client")?;
    pool.leak_because(&["none left, and no byte was read, in 1m"])?;
    session.end()?;
    Ok(())
}

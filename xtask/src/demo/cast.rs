//! The processes of the demo, and what they do when.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, bail};
use testbed::{
    Netns,
    part::{Part, Player},
};

const API_PORT: u16 = 8080;
const QUEUE_PORT: u16 = 9090;

/// The processes, in a separate namespace.
pub struct Cast {
    _api: Player,
    checkout: Player,
    basket: Player,
    queue: Player,
    workers: Player,
    // Last, so that it is dropped last.
    netns: Netns,
}

impl Cast {
    pub fn new() -> Result<Self> {
        let netns = Netns::new()?;
        let [api, queue] =
            [API_PORT, QUEUE_PORT].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let start = |part| Player::start(&netns, &part);
        let pool = |comm: &str| Part::HttpPool {
            comm: comm.into(),
            server: api,
        };
        Ok(Self {
            // In this order: servers before their clients.
            _api: start(Part::HttpServer { address: api })?,
            checkout: start(pool("checkout"))?,
            basket: start(pool("basket"))?,
            queue: start(Part::QueueServer { address: queue })?,
            workers: start(Part::QueueClients { server: queue })?,
            netns,
        })
    }

    pub fn netns(&self) -> u64 {
        self.netns.inode()
    }

    /// Leaks sockets before tcptrace starts: 200 connections of a pool, and 30 that wait to be accepted.
    pub fn leak_before(&mut self) -> Result<()> {
        self.workers.tell("call 30 200")?;
        self.checkout.tell("fetch 200 5")?;
        done(&mut self.workers)?;
        done(&mut self.checkout)
    }

    /// Starts the changes while tcptrace looks: another pool leaks 60 connections within 3 s, and then 10 of the
    /// waiting connections are accepted.
    pub fn leak_meanwhile(&mut self) -> Result<()> {
        self.basket.tell("after 500 fetch 60 50")?;
        self.queue.tell("after 5000 accept 10")
    }

    /// Checks that all of this worked.
    pub fn finish(&mut self) -> Result<()> {
        done(&mut self.basket)?;
        done(&mut self.queue)
    }
}

fn done(player: &mut Player) -> Result<()> {
    match player.answer()?.as_str() {
        "done" => Ok(()),
        other => bail!("a part of the demo answered {other:?}"),
    }
}

//! The processes of the demo, and what they do when.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, bail};
use testbed::{
    Netns,
    part::{Part, Player},
};

const SHOP_PORT: u16 = 8080;
const PRICES_PORT: u16 = 9090;
/// The shop's request threads, and the connections of its pool.
const THREADS: usize = 20;
const POOL: usize = 50;

/// The processes, in a separate namespace.
pub struct Cast {
    _prices: Player,
    _shop: Player,
    customers: Player,
    // Last, so that it is dropped last.
    netns: Netns,
}

impl Cast {
    pub fn new() -> Result<Self> {
        let netns = Netns::new()?;
        let [shop, prices] =
            [SHOP_PORT, PRICES_PORT].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let start = |part| Player::start(&netns, &part);
        Ok(Self {
            // In this order: servers before their clients.
            _prices: start(Part::Prices { address: prices })?,
            _shop: start(Part::Shop {
                address: shop,
                prices,
                threads: THREADS,
                pool: POOL,
            })?,
            customers: start(Part::Customers { shop })?,
            netns,
        })
    }

    pub fn netns(&self) -> u64 {
        self.netns.inode()
    }

    /// Customers before tcptrace starts: the pool serves 50, and nobody the others.
    pub fn come_before(&mut self) -> Result<()> {
        self.customers.tell("call 170 15 500")?;
        done(&mut self.customers)
    }

    /// More of them while tcptrace looks.
    pub fn come_meanwhile(&mut self) -> Result<()> {
        self.customers.tell("after 5000 call 30 100 500")
    }

    /// Checks that all of this worked.
    pub fn finish(&mut self) -> Result<()> {
        done(&mut self.customers)
    }
}

fn done(player: &mut Player) -> Result<()> {
    match player.answer()?.as_str() {
        "done" => Ok(()),
        other => bail!("a part of the demo answered {other:?}"),
    }
}

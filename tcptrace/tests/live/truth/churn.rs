//! Connections that open and close as fast as possible, from two pairs of processes, until none is left.

use std::time::Instant;

use anyhow::{Result, ensure};
use testbed::{Actor, Netns, Order, Socket, clock::patience};

/// Pairs of processes. Two of them keep two cores busy.
pub const PAIRS: [&str; 2] = ["one", "two"];

/// A server and its client for each of [`PAIRS`].
pub struct Churn {
    pub netns: Netns,
    pairs: Vec<(Actor, Actor, Socket)>,
}

impl Churn {
    /// A namespace in which no connection stays in TIME_WAIT.
    pub fn netns() -> Result<Netns> {
        let netns = Netns::new()?;
        netns.set("ipv4/tcp_max_tw_buckets", "0")?;
        Ok(netns)
    }

    /// The processes `serve-one`, `visit-one` and so on; the servers listen.
    pub fn start(netns: Netns) -> Result<Self> {
        let pair = |number: &str| -> Result<_> {
            let mut server = Actor::start(&netns, &format!("serve-{number}"))?;
            let client = Actor::start(&netns, &format!("visit-{number}"))?;
            let (address, backlog) = ("127.0.0.1:0".parse()?, 64);
            let listener = server.socket(&Order::Listen { address, backlog })?;
            Ok((server, client, listener))
        };
        let pairs = PAIRS.into_iter().map(pair).collect::<Result<_>>()?;
        Ok(Self { netns, pairs })
    }

    /// The processes that accept.
    pub fn servers(&self) -> Vec<u32> {
        self.pairs
            .iter()
            .map(|(server, _, _)| server.pid())
            .collect()
    }

    /// All processes.
    pub fn pids(&self) -> Vec<u32> {
        let both = |(server, client, _): &(Actor, Actor, Socket)| [server.pid(), client.pid()];
        self.pairs.iter().flat_map(both).collect()
    }

    /// Makes `count` connections of each pair, and waits until none is left.
    pub fn run(&mut self, count: usize) -> Result<()> {
        self.begin(count)?;
        self.finish()
    }

    /// Begins to make `count` connections of each pair.
    pub fn begin(&mut self, count: usize) -> Result<()> {
        for (server, client, listener) in &mut self.pairs {
            let (fd, address) = (listener.fd, listener.local);
            server.begin(&Order::ChurnServe { fd, count })?;
            client.begin(&Order::Churn { address, count })?;
        }
        Ok(())
    }

    /// Waits until all are made and none is left.
    pub fn finish(&mut self) -> Result<()> {
        for (server, client, _) in &mut self.pairs {
            client.finish()?;
            server.finish()?;
        }
        until_only(&self.netns, self.pairs.len())
    }
}

/// Waits until no connection is left, only this many listeners.
pub fn until_only(netns: &Netns, listeners: usize) -> Result<()> {
    let start = Instant::now();
    loop {
        let table = || std::fs::read_to_string("/proc/thread-self/net/tcp");
        let left = netns.run(table)??;
        // The first line is a heading.
        if left.lines().count() == 1 + listeners {
            return Ok(());
        }
        ensure!(start.elapsed() < patience(), "left over:\n{left}");
    }
}

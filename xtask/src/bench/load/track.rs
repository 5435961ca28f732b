//! The place where the churn runs: some workers in a separate namespace.

use std::fs;

use anyhow::{Context, Result};
use testbed::{
    Netns,
    part::{Lap, Part, Player},
};

/// The workers.
pub struct Track {
    workers: Vec<Player>,
    // Last, so that it is dropped last.
    netns: Netns,
}

/// The cost of a lap.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Connections of all workers.
    pub connections: u64,
    /// Elapsed nanoseconds per connection.
    pub wall_ns: f64,
    /// Nanoseconds of CPU time in the workers per connection.
    pub cpu_ns: f64,
}

impl Track {
    pub fn new(workers: usize) -> Result<Self> {
        let netns = Netns::new()?;
        // The loop closes 25 000 connections per second; that many in TIME_WAIT would use up all ports.
        netns
            .run(|| fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", "0"))?
            .context("cannot switch TIME_WAIT off in the namespace")?;
        let workers = (0..workers)
            .map(|_| Player::start(&netns, &Part::Churn))
            .collect::<Result<_>>()?;
        Ok(Self { workers, netns })
    }

    /// The namespace, which nothing else uses.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Runs all workers at once, for this many milliseconds; `close` is `orderly` or `reset`.
    pub fn lap(&mut self, close: &str, milliseconds: u64) -> Result<Cost> {
        for worker in &mut self.workers {
            worker.tell(&format!("{close} {milliseconds}"))?;
        }
        let lap = |worker: &mut Player| Lap::parse(&worker.answer()?);
        let laps = self
            .workers
            .iter_mut()
            .map(lap)
            .collect::<Result<Vec<_>>>()?;
        let connections: u64 = laps.iter().map(|lap| lap.connections).sum();
        let rate: f64 = laps
            .iter()
            .map(|lap| lap.connections as f64 / lap.wall.as_nanos() as f64)
            .sum();
        let cpu: u128 = laps.iter().map(|lap| lap.cpu.as_nanos()).sum();
        Ok(Cost {
            connections,
            wall_ns: 1.0 / rate,
            cpu_ns: cpu as f64 / connections as f64,
        })
    }
}

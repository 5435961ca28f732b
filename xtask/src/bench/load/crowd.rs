//! Many sockets in a namespace: some stuck ones, and any number of healthy ones.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use rustix::process::Resource;
use testbed::{
    Netns,
    part::{Part, Player},
};

use super::sockstat;

/// A generous number of descriptors that a process needs beside those of its sockets.
const OTHER_DESCRIPTORS: u64 = 500;
/// Sockets that one process holds: its connections (half as many) need ports, and there are 28 000 ports.
const MOST_SOCKETS: u64 = 40_000;

/// The sockets, held by as many processes as needed.
pub struct Crowd {
    holders: Vec<Player>,
    established: usize,
    stuck: usize,
    netns: Netns,
}

impl Crowd {
    /// This many connections with one end in CLOSE_WAIT, held by a separate process, or by as few as can.
    pub fn new(stuck: usize) -> Result<Self> {
        let netns = Netns::new()?;
        let mut crowd = Self {
            holders: Vec::new(),
            established: 0,
            stuck: 0,
            netns,
        };
        while crowd.stuck < stuck {
            // The other end is in the same process.
            let more = (stuck - crowd.stuck).min(most_sockets()? / 2);
            crowd.add("leaky", 0, more)?;
            crowd.stuck += more;
        }
        crowd.check()?;
        Ok(crowd)
    }

    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Opens connections until this many sockets (both ends count) are ESTABLISHED.
    pub fn grow(&mut self, established: usize) -> Result<()> {
        // A connection has two ends.
        while self.established + 1 < established {
            let more = (established - self.established).min(most_sockets()?) / 2 * 2;
            self.add("holder", more, 0)?;
            self.established += more;
        }
        self.check()
    }

    fn add(&mut self, comm: &str, established: usize, stuck: usize) -> Result<()> {
        // An address for each process, so that none runs out of ports.
        let number = u8::try_from(self.holders.len() + 1)?;
        let part = Part::Hold {
            comm: comm.into(),
            address: Ipv4Addr::new(127, 0, 1, number).into(),
            established,
            stuck,
        };
        self.holders.push(Player::start(&self.netns, &part)?);
        Ok(())
    }

    /// Checks that the kernel counts the intended number of sockets.
    fn check(&self) -> Result<()> {
        let found = sockstat::count(&self.netns, "inuse")?;
        let meant = self.established + 2 * self.stuck + self.holders.len();
        if found != meant {
            bail!("the namespace has {found} TCP sockets instead of {meant}");
        }
        Ok(())
    }
}

/// The number of sockets that one process can hold.
fn most_sockets() -> Result<usize> {
    let limit = rustix::process::getrlimit(Resource::Nofile)
        .maximum
        .unwrap_or(u64::MAX);
    let most = limit.saturating_sub(OTHER_DESCRIPTORS).min(MOST_SOCKETS);
    if most < 2 {
        bail!("{limit} descriptors per process are not enough");
    }
    Ok(usize::try_from(most)?)
}

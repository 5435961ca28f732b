//! Many network namespaces with one socket each.

use anyhow::{Context, Result};
use testbed::{
    Netns,
    part::{Part, Player},
};

use super::sockstat;

/// Namespaces with one process each, which has one listener. One of them may also have sockets in TIME_WAIT.
pub struct Namespaces {
    keeper: Player,
    // Last, so that it is dropped last.
    netns: Netns,
}

impl Namespaces {
    /// This many.
    pub fn new(count: usize) -> Result<Self> {
        let netns = Netns::new()?;
        // The keeper's own is one of them.
        let others = count.checked_sub(1).context("there must be one at least")?;
        let keeper = Player::start(&netns, &Part::Namespaces { others })?;
        Ok(Self { keeper, netns })
    }

    /// Allows this many sockets in TIME_WAIT.
    pub fn allow_time_wait(&self, most: usize) -> Result<()> {
        self.netns
            .set("ipv4/tcp_max_tw_buckets", &most.to_string())?;
        // Over the loopback, a new connection would otherwise take the place of one that is a second old.
        self.netns.set("ipv4/tcp_tw_reuse", "0")
    }

    /// Opens and closes connections until there are this many in TIME_WAIT: they only stay for a minute.
    pub fn fill_time_wait(&mut self, wanted: usize) -> Result<()> {
        let missing = wanted.saturating_sub(sockstat::count(&self.netns, "tw")?);
        if missing > 0 {
            self.keeper.ask(&format!("time-wait {missing}"))?;
        }
        Ok(())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // Waits until all are gone, so that they do not disturb what is measured next. If the keeper is already gone,
        // so are they: the kernel ends them with it.
        let _ = self.keeper.ask("end");
    }
}

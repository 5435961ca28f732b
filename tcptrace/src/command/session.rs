//! What the commands share.

use std::time::Duration;

use anyhow::Context as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time,
};

use crate::{
    model::{
        filter::Filter,
        request::{Filters, Netns, UsageError},
    },
    source::machine::netns,
};

/// The filters, with the namespace that they name looked up on this machine.
///
/// # Errors
/// When there is no such namespace.
pub fn resolve(filters: &Filters) -> Result<Filter, UsageError> {
    let netns = match &filters.netns {
        None => None,
        Some(Netns::Inode(inode)) => Some(*inode),
        Some(Netns::Name(name)) => {
            let refused = |reason| UsageError::Value {
                option: "netns",
                value: name.clone(),
                reason,
            };
            Some(netns::named(name).map_err(refused)?)
        }
    };
    Ok(filters.resolved(netns))
}

/// The duration in ns; one that is too long for that counts as the longest.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What ends a session: Ctrl-C, SIGTERM or the time being up.
pub struct End {
    interrupt: Signal,
    terminate: Signal,
    duration: Option<Duration>,
    deadline: Option<time::Instant>,
}

impl End {
    /// Catches signals from here on; `duration`: how long the session may last, counted from when
    /// its end is first waited for.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn new(duration: Option<Duration>) -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("catching SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("catching SIGTERM")?,
            duration,
            deadline: None,
        })
    }

    /// Waits for the end.
    pub async fn reached(&mut self) {
        let begin = |duration| time::Instant::now() + duration;
        self.deadline = self.deadline.or_else(|| self.duration.map(begin));
        let deadline = self.deadline;
        let time_up = async {
            match deadline {
                Some(deadline) => time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = time_up => {}
        }
    }
}

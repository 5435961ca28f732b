//! Waits for a moment in which the machine does nothing else.

use std::{cell::Cell, fs, time::Duration};

use anyhow::{Context, Result};

use crate::interrupt;

/// How long one check of the machine takes.
const GLANCE: Duration = Duration::from_millis(200);
/// The fraction of the processors' time that others may use.
const QUIET: f64 = 0.1;

/// The remaining patience; each wait uses some of it.
#[derive(Debug)]
pub struct Patience(Cell<Duration>);

impl Patience {
    /// This much patience for all waits together.
    pub fn new(length: Duration) -> Self {
        Self(Cell::new(length))
    }

    /// Waits until other programs use little of the processors, or until the patience is used up. Then the measurement
    /// runs anyway, and the quartiles show the noise. Fails on Ctrl-C.
    pub fn wait(&self) -> Result<()> {
        interrupt::check()?;
        let mut before = Ticks::now()?;
        while let Some(left) = self.0.get().checked_sub(GLANCE) {
            interrupt::sleep(GLANCE)?;
            let now = Ticks::now()?;
            if now.busy_since(&before) <= QUIET {
                break;
            }
            self.0.set(left);
            before = now;
        }
        Ok(())
    }
}

/// The processors' time since boot.
#[derive(Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    idle: u64,
}

impl Ticks {
    fn now() -> Result<Self> {
        let text =
            fs::read_to_string("/proc/stat").context("cannot read how busy the machine is")?;
        Self::parse(&text).context("cannot read /proc/stat")
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks = line.split_whitespace().take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self {
            busy: ticks.iter().sum::<u64>() - idle,
            idle,
        })
    }

    fn busy_since(&self, earlier: &Self) -> f64 {
        let busy = self.busy.saturating_sub(earlier.busy) as f64;
        let idle = self.idle.saturating_sub(earlier.idle) as f64;
        busy / (busy + idle).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Ticks;

    #[test]
    fn what_is_busy_and_what_is_idle() {
        let before = Ticks::parse("cpu  10 1 5 100 4 0 0 0 0 0\ncpu0 1\n").expect("it is a line");
        assert_eq!(
            before,
            Ticks {
                busy: 16,
                idle: 104
            }
        );
        let now = Ticks::parse("cpu  11 1 5 107 4 0 0 2 0 0\n").expect("it is a line");
        assert_eq!(now.busy_since(&before), 0.3);
        assert_eq!(before.busy_since(&before), 0.0);
        assert_eq!(Ticks::parse("intr 5\n"), None);
    }
}

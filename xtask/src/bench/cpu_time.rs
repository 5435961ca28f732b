//! Time that a process took on the CPUs.

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use std::fs;

/// In seconds, as the kernel counts it: in ticks, of which there are 100 a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuTime {
    /// In its own code.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

impl CpuTime {
    /// Of a child that has ended and was not waited for yet, all of its threads; `None` while it runs.
    pub fn of_ended(pid: u32) -> Result<Option<Self>> {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let (state, cpu) = parse(&text, clock_ticks_per_second() as f64)
            .with_context(|| format!("{path} is not as expected"))?;
        Ok((state == "Z").then_some(cpu))
    }

    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }
}

/// State and times. The name, in parentheses, may have anything in it.
fn parse(stat: &str, ticks: f64) -> Option<(&str, CpuTime)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let words: Vec<_> = rest.split(' ').collect();
    let seconds = |index: usize| {
        let count: f64 = words.get(index)?.parse().ok()?;
        Some(count / ticks)
    };
    let cpu = CpuTime {
        user: seconds(11)?,
        system: seconds(12)?,
    };
    Some((words[0], cpu))
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, parse};

    #[test]
    fn names_do_not_disturb() {
        let stat = "5 (a) R (b) Z 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 99\n";
        let cpu = CpuTime {
            user: 2.5,
            system: 0.5,
        };
        assert_eq!(parse(stat, 100.0), Some(("Z", cpu)));
        assert_eq!(cpu.since(cpu).user, 0.0);
        assert_eq!(parse("5 (a) Z 1 2", 100.0), None);
    }
}

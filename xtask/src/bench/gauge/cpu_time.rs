//! The CPU time of a process.

use std::{fs, io};

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;

/// In seconds. The kernel reports it in ticks, 100 per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuTime {
    /// In its own code.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

impl CpuTime {
    /// The time of a child that has ended and was not waited for yet, with all its threads; `None` while it runs.
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

/// The CPU time of a process until now, in seconds (also of one that has ended and was not waited for), with all its
/// threads, in its own code and in the kernel together. The kernel reports this sum to the nanosecond.
pub fn so_far(pid: u32) -> Result<f64> {
    let what = || format!("the kernel does not report the CPU time of process {pid}");
    let mut clock = 0;
    // SAFETY: the clock's number is written into a variable of its type.
    let error = unsafe { libc::clock_getcpuclockid(i32::try_from(pid)?, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error)).with_context(what);
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time is written into a variable of its type.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error()).with_context(what);
    }
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// State and times. The name, in parentheses, may contain anything.
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
    use std::{
        process,
        time::{Duration, Instant},
    };

    use super::{CpuTime, parse, so_far};

    #[test]
    fn a_process_that_computes_takes_time() {
        let before = so_far(process::id()).expect("it is this process");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(20) {}
        let after = so_far(process::id()).expect("it is this process");
        assert!(after > before, "{after} after {before}");
    }

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

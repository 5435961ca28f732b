//! The kernel's statistics of the BPF programs that a process has loaded.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

/// Makes the kernel time every BPF program until the result is dropped.
///
/// A descriptor instead of the sysctl `kernel.bpf_stats_enabled`, because it ends with this process in any case.
pub fn time_programs() -> Result<OwnedFd> {
    /// `BPF_ENABLE_STATS` and, all zeros, `BPF_STATS_RUN_TIME` (`include/uapi/linux/bpf.h`, Linux 5.8).
    const BPF_ENABLE_STATS: libc::c_int = 32;
    let what = [0u32; 4];
    // SAFETY: the kernel reads as many bytes as the call says.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_ENABLE_STATS,
            what.as_ptr(),
            size_of_val(&what),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("the kernel does not time BPF programs");
    }
    // SAFETY: the call returned a new descriptor with no other owner; descriptors fit into an int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// How often programs ran, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Runs {
    count: u64,
    time_ns: u64,
}

impl Runs {
    fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            time_ns: self.time_ns.saturating_sub(earlier.time_ns),
        }
    }
}

/// The programs of a process, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs(BTreeMap<u64, Runs>);

impl Programs {
    pub fn since(&self, earlier: &Self) -> Self {
        let runs = self.0.iter().map(|(id, runs)| {
            let earlier = earlier.0.get(id).copied().unwrap_or_default();
            (*id, runs.since(earlier))
        });
        Self(runs.collect())
    }

    /// The number of transitions: the program that follows them runs most often, because other programs only run once
    /// per connection or per end of it.
    pub fn transitions(&self) -> u64 {
        self.0.values().map(|runs| runs.count).max().unwrap_or(0)
    }

    /// Time in all of the programs for one transition.
    pub fn mean_ns(&self) -> f64 {
        let time_ns: u64 = self.0.values().map(|runs| runs.time_ns).sum();
        time_ns as f64 / self.transitions() as f64
    }
}

/// The programs of a process; `None` when it has none.
pub fn of(pid: u32) -> Result<Option<Programs>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        // A descriptor may be closed before it is read.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        programs.extend(parse(&text));
    }
    Ok((!programs.is_empty()).then_some(Programs(programs)))
}

/// A program's id (two descriptors may belong to one program) and counts, if `fdinfo` is that of a program.
fn parse(fdinfo: &str) -> Option<(u64, Runs)> {
    let field = |name: &str| {
        fdinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| value.trim().parse().ok())
    };
    let runs = Runs {
        count: field("run_cnt")?,
        time_ns: field("run_time_ns")?,
    };
    Some((field("prog_id")?, runs))
}

#[cfg(test)]
mod tests {
    use super::{Programs, Runs, parse};

    #[test]
    fn programs_are_told_from_other_descriptors() {
        let program = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nmemlock:\t4096\nprog_id:\t77\n\
                       run_time_ns:\t2000\nrun_cnt:\t20\nrecursion_misses:\t0\n";
        let runs = Runs {
            count: 20,
            time_ns: 2000,
        };
        assert_eq!(parse(program), Some((77, runs)));
        assert_eq!(
            parse("pos:\t0\nlink_type:\traw_tracepoint\nprog_id:\t77\n"),
            None
        );
    }

    #[test]
    fn all_programs_are_in_the_time_for_a_transition() {
        let programs = |runs: &[(u64, u64, u64)]| {
            let runs = runs
                .iter()
                .map(|&(id, count, time_ns)| (id, Runs { count, time_ns }));
            Programs(runs.collect())
        };
        let before = programs(&[(1, 5, 500), (2, 1, 10)]);
        // The third was loaded in between.
        let after = programs(&[(1, 15, 2500), (2, 2, 110), (3, 1, 100)]);
        let ran = after.since(&before);
        assert_eq!(ran, programs(&[(1, 10, 2000), (2, 1, 100), (3, 1, 100)]));
        assert_eq!(ran.transitions(), 10);
        assert_eq!(ran.mean_ns(), 220.0);
    }
}

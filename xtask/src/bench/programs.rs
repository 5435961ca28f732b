//! What the kernel counts of the BPF programs that a process has loaded.

use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{FromRawFd, OwnedFd},
};

/// Has the kernel time every BPF program while the result lives.
///
/// A descriptor and not the sysctl `kernel.bpf_stats_enabled`: it ends with this process, however that ends.
pub fn time_them() -> Result<OwnedFd> {
    /// `BPF_ENABLE_STATS` and, all zeros, `BPF_STATS_RUN_TIME` (`include/uapi/linux/bpf.h`, Linux 5.8).
    const BPF_ENABLE_STATS: libc::c_int = 32;
    let what = [0u32; 4];
    // SAFETY: the kernel reads as many bytes as it is told there are.
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
    // SAFETY: the call gave a new descriptor that nobody else has; descriptors fit into an int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// How often programs ran, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    pub count: u64,
    pub time_ns: u64,
}

impl Runs {
    pub fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            time_ns: self.time_ns.saturating_sub(earlier.time_ns),
        }
    }

    pub fn mean_ns(self) -> f64 {
        self.time_ns as f64 / self.count as f64
    }
}

/// The sum over the programs of a process; `None` when it has none.
pub fn of(pid: u32) -> Result<Option<Runs>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        // A descriptor may be closed before it is looked at.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        programs.extend(parse(&text));
    }
    let sum = |runs: Runs, more: &Runs| Runs {
        count: runs.count + more.count,
        time_ns: runs.time_ns + more.time_ns,
    };
    Ok((!programs.is_empty()).then(|| programs.values().fold(Runs::default(), sum)))
}

/// A program's identity (two descriptors may be of one program) and counts, where `fdinfo` is one's.
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
    use super::{Runs, parse};

    #[test]
    fn programs_are_told_from_other_descriptors() {
        let program = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nmemlock:\t4096\nprog_id:\t77\n\
                       run_time_ns:\t2000\nrun_cnt:\t20\nrecursion_misses:\t0\n";
        let runs = Runs {
            count: 20,
            time_ns: 2000,
        };
        assert_eq!(parse(program), Some((77, runs)));
        assert_eq!(runs.mean_ns(), 100.0);
        assert_eq!(
            runs.since(Runs {
                count: 5,
                time_ns: 500
            }),
            Runs {
                count: 15,
                time_ns: 1500
            }
        );
        assert_eq!(
            parse("pos:\t0\nlink_type:\traw_tracepoint\nprog_id:\t77\n"),
            None
        );
    }
}

//! The machine and its load.

use std::{fmt, fs, process::Command, thread};

use anyhow::{Context, Result};

use crate::process;

/// The machine during a run.
#[derive(Debug)]
pub struct Machine {
    kernel: String,
    processor: String,
    cores: usize,
    date: String,
    load: [String; 2],
}

impl Machine {
    /// The machine as it is now.
    pub fn look() -> Result<Self> {
        let kernel =
            fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot tell the kernel")?;
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let date = process::capture(Command::new("date").args(["-u", "+%F"]), "tell the date")?;
        Ok(Self {
            kernel: kernel.trim().into(),
            processor: model.map_or_else(
                || std::env::consts::ARCH.into(),
                |(_, model)| model.trim().into(),
            ),
            cores: thread::available_parallelism()?.get(),
            date: date.trim().into(),
            load: [load()?, String::new()],
        })
    }

    /// Records the load at the end, which includes the load of the benchmarks themselves.
    pub fn finish(&mut self) -> Result<()> {
        self.load[1] = load()?;
        Ok(())
    }
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot tell the load")?;
    Ok(text.split(' ').next().unwrap_or_default().into())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kernel,
            processor,
            cores,
            date,
            load: [before, after],
        } = self;
        writeln!(
            f,
            "Measured {date} by `cargo xtask bench` on Linux {kernel}, {cores} cores of {processor}; load average \
             {before} before and {after} after.\n"
        )?;
        writeln!(
            f,
            "Two numbers in brackets are the quartiles around the median before them."
        )
    }
}

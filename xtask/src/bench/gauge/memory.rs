//! The memory of a process.

use std::fs;

use anyhow::{Context, Result};

/// In MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// What it has now (`VmRSS`).
    pub now: f64,
    /// The most that it ever had (`VmHWM`).
    pub most: f64,
}

impl Memory {
    /// The memory of a running process.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&status).with_context(|| format!("{path} is not as expected"))
    }

    fn parse(status: &str) -> Option<Self> {
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kib / 1024.0)
        };
        Some(Self {
            now: mib("VmRSS:")?,
            most: mib("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn kibibytes_become_mebibytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1536 kB\n";
        let memory = Memory {
            now: 1.5,
            most: 2.0,
        };
        assert_eq!(Memory::parse(status), Some(memory));
        assert_eq!(Memory::parse("Name:\tx\n"), None);
    }
}

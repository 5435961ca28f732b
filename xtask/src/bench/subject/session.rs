//! A running program that writes into files, and the content of the files at the end.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::background::Background;
use crate::bench::gauge::cpu_time::{self, CpuTime};

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
/// The output file or folder of a program that has an option for it.
const OUTPUT: &str = "output";

/// A running program. Dropping this ends it and deletes its files.
#[derive(Debug)]
pub struct Session {
    // First, so that it ends before its files go.
    background: Background,
    files: Files,
}

impl Session {
    /// Starts the program. `output` is its option for the output file, if it has one.
    pub fn start(program: &Path, arguments: &[String], output: Option<&str>) -> Result<Self> {
        let files = Files::new()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(files.create(STDOUT)?)
            .stderr(files.create(STDERR)?);
        if let Some(option) = output {
            command.arg(option).arg(files.path(OUTPUT));
        }
        Ok(Self {
            background: Background::start(command)?,
            files,
        })
    }

    pub fn pid(&self) -> u32 {
        self.background.pid()
    }

    /// Fails if the program has ended.
    pub fn check(&mut self) -> Result<()> {
        self.background.check()
    }

    /// Whether its standard error so far contains a text.
    pub fn has_said(&self, text: &str) -> Result<bool> {
        Ok(self.files.stderr()?.contains(text))
    }

    /// Its CPU time so far, in seconds.
    pub fn seconds(&self) -> Result<f64> {
        cpu_time::so_far(self.pid())
    }

    /// Ends it like Ctrl-C: then it has written everything.
    pub fn stop(self) -> Result<Ended> {
        let (cpu, seconds) = self.background.stop()?;
        Ok(Ended {
            cpu,
            seconds,
            files: self.files,
        })
    }
}

/// The result of a program that has ended. Dropping this deletes its files.
#[derive(Debug)]
pub struct Ended {
    pub cpu: CpuTime,
    /// The exact sum.
    pub seconds: f64,
    files: Files,
}

impl Ended {
    /// What it wrote to its standard error.
    pub fn stderr(&self) -> Result<String> {
        self.files.stderr()
    }

    /// What it wrote to its standard output.
    pub fn stdout(&self) -> Result<String> {
        self.files.read(STDOUT)
    }

    /// Lines with a transition.
    pub fn lines(&self) -> Result<u64> {
        let mut paths = vec![self.files.path(STDOUT)];
        let output = self.files.path(OUTPUT);
        if output.is_dir() {
            for entry in fs::read_dir(&output)? {
                paths.push(entry?.path());
            }
        } else if output.exists() {
            paths.push(output);
        }
        paths.iter().map(|path| count(path)).sum()
    }
}

/// A temporary folder.
#[derive(Debug)]
struct Files(TempDir);

impl Files {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tcptrace-bench-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn create(&self, name: &str) -> Result<File> {
        File::create(self.path(name)).context("cannot write a temporary file")
    }

    fn stderr(&self) -> Result<String> {
        self.read(STDERR)
    }

    fn read(&self, name: &str) -> Result<String> {
        let bytes = fs::read(self.path(name)).context("cannot read a temporary file")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn count(path: &Path) -> Result<u64> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut count, mut line) = (0, Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        count += u64::from(is_transition(&line));
        line.clear();
    }
    Ok(count)
}

/// Lines of tcptrace begin with the time or, in JSON, with the schema; those of `tcpstates` begin with an address in
/// lower-case hexadecimal digits, those of the bpftrace script with a PID. Headings and messages do not.
fn is_transition(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'0'..=b'9' | b'a'..=b'f'))
        || line.starts_with(b"{\"schema\":\"tcptrace.transition/")
}

#[cfg(test)]
mod tests {
    use super::is_transition;

    #[test]
    fn transitions_are_told_from_other_lines() {
        for line in [
            "2026-11-23T02:09:57.315Z  python3[20649]  connect  CLOSE -> SYN_SENT",
            "{\"schema\":\"tcptrace.transition/1\",\"time\":\"2026-11-23T02:09:59Z\"}",
            "ffff8a0b4a1b2300 1234    curl       127.0.0.1 0 127.0.0.1 80",
            "1234 curl 0 80 7 2 0",
        ] {
            assert!(is_transition(line.as_bytes()), "{line}");
        }
        for line in [
            "TIME (UTC)                PROCESS",
            "SKADDR           C-PID C-COMM     LADDR",
            "Attaching 1 probe...",
            "Lost 15 events",
            "@since[123]: 5",
            "{\"schema\":\"tcptrace.index/1\"}",
            "",
        ] {
            assert!(!is_transition(line.as_bytes()), "{line}");
        }
    }
}

//! Runs the tool with outputs that a test chooses.

use std::{
    fs::{File, read_to_string},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use testbed::{
    Netns,
    clock::{patience, slowness},
};

use crate::{
    harness::{place::Place, scratch::Scratch},
    run::{
        log::READY,
        tool::{KilledWhenDropped, binary},
    },
};

/// How long it may take from the first signal to the end, and a little for the machine.
pub fn grace() -> Duration {
    Duration::from_millis(2700) * slowness()
}

/// The running tool. Its standard error goes to a file, unless the test chooses another place.
pub struct Run {
    pub child: KilledWhenDropped,
    said: Option<String>,
    _scratch: Scratch,
}

impl Run {
    pub fn start(arguments: &[&str], out: impl Into<Stdio>) -> Result<Self> {
        let scratch = Scratch::new()?;
        let said = scratch.file("stderr");
        let err = File::create(&said)?;
        Self::begin(arguments, out.into(), err.into(), Some(said), scratch)
    }

    /// A log in JSON of one namespace that has begun, and that goes where the last two arguments say.
    pub fn log_of(netns: &Netns, to: [&str; 2]) -> Result<Self> {
        let netns = netns.inode().to_string();
        let words = ["log", "--json", "--netns", &netns, to[0], to[1]];
        Self::log(&words, Stdio::null())
    }

    /// A log that has begun, and that this file mode creation mask was left to.
    pub fn log_with_umask(mask: &str, arguments: &[&str]) -> Result<Self> {
        let scratch = Scratch::new()?;
        let said = scratch.file("stderr");
        let err = File::create(&said)?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("umask {mask}; exec \"$0\" \"$@\""));
        command.arg(binary()).args(arguments);
        let mut run = Self::spawn(command, Stdio::null(), err.into(), Some(said), scratch)?;
        run.until(|run| Ok(run.said()?.contains(READY)))?;
        Ok(run)
    }

    /// With this standard error.
    pub fn start_with(
        arguments: &[&str],
        out: impl Into<Stdio>,
        err: impl Into<Stdio>,
    ) -> Result<Self> {
        Self::begin(arguments, out.into(), err.into(), None, Scratch::new()?)
    }

    fn begin(
        arguments: &[&str],
        out: Stdio,
        err: Stdio,
        said: Option<String>,
        scratch: Scratch,
    ) -> Result<Self> {
        let mut command = Command::new(binary());
        command.args(arguments);
        Self::spawn(command, out, err, said, scratch)
    }

    fn spawn(
        mut command: Command,
        out: Stdio,
        err: Stdio,
        said: Option<String>,
        scratch: Scratch,
    ) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Place::AsIs.prepare(&mut command);
        Ok(Self {
            child: KilledWhenDropped(command.spawn()?),
            said,
            _scratch: scratch,
        })
    }

    /// A log that has begun.
    pub fn log(arguments: &[&str], out: impl Into<Stdio>) -> Result<Self> {
        let mut run = Self::start(arguments, out)?;
        run.until(|run| Ok(run.said()?.contains(READY)))?;
        Ok(run)
    }

    pub fn said(&self) -> Result<String> {
        let said = self.said.as_ref().context("it goes elsewhere")?;
        Ok(read_to_string(said)?)
    }

    /// Waits for something.
    pub fn until(&mut self, mut holds: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !holds(self)? {
            if let Some(status) = self.child.0.try_wait()? {
                anyhow::bail!("it ended, {status}: {:?}", self.said());
            }
            ensure!(start.elapsed() < patience(), "in vain: {:?}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.0.id())?).context("no PID")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end, but not longer than this.
    pub fn ends_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.0.try_wait()? {
                return Ok(status);
            }
            let said = self.said.as_ref().map(read_to_string);
            ensure!(start.elapsed() < limit, "it runs after {limit:?}: {said:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal, and waits for an orderly end; returns what it said.
    pub fn end(&mut self, signal: Signal) -> Result<String> {
        self.signal(signal)?;
        let status = self.ends_within(patience())?;
        let said = self.said()?;
        ensure!(status.code() == Some(0), "{status}: {said}");
        Ok(said)
    }
}

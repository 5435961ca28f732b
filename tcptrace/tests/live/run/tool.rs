//! Runs the tool.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};
use testbed::clock::{monotonic_ns, patience};

use crate::{harness::place::Place, run::snapshot::Snapshot};

/// The binary under test.
pub fn binary() -> OsString {
    std::env::var_os("TCPTRACE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tcptrace").into())
}

/// How it ended, and what it wrote.
#[derive(Debug, Default)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Its exit code. An error if a signal killed it or if it panicked.
    pub fn code(&self) -> Result<i32> {
        ensure!(
            !self.stderr.contains("panicked"),
            "it panicked:\n{}",
            self.stderr
        );
        self.status
            .code()
            .with_context(|| format!("{}: {}", self.status, self.stderr))
    }

    /// Checks that it succeeded.
    pub fn success(self) -> Result<Self> {
        ensure!(self.code()? == 0, "{}:\n{}", self.status, self.stderr);
        Ok(self)
    }

    /// All snapshots on its standard output.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        self.stdout.lines().map(parse).collect()
    }
}

/// A process that is killed when this is dropped.
pub struct KilledWhenDropped(pub Child);

impl Drop for KilledWhenDropped {
    fn drop(&mut self) {
        // It fails only for a process that has been waited for, and that one is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The running tool. It is killed when dropped.
pub struct Tool {
    child: KilledWhenDropped,
    stdout: Receiver<String>,
    said: Arc<Mutex<String>>,
    stderr: Option<JoinHandle<()>>,
}

impl Tool {
    /// Starts it with exactly these arguments.
    pub fn start(place: Place, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary());
        command.args(arguments);
        place.prepare(&mut command);
        Self::start_command(command)
    }

    /// The same without a capability.
    pub fn start_without(capability: CapabilitySet, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary());
        command.args(arguments);
        let drop_it = move || Ok(remove_capability_from_bounding_set(capability)?);
        // SAFETY: between fork and exec, the closure only makes one system call. It allocates nothing and takes no lock.
        unsafe { command.pre_exec(drop_it) };
        Self::start_command(command)
    }

    /// Starts a prepared command.
    pub fn start_command(mut command: Command) -> Result<Self> {
        command
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {:?}", binary()))?;
        let out = child.stdout.take().context("no stdout")?;
        let err = child.stderr.take().context("no stderr")?;
        let (lines, stdout) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(|line| line.ok()) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                // What came before an error is still useful.
                for line in BufReader::new(err).split(b'\n').map_while(Result::ok) {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push_str(&String::from_utf8_lossy(&line));
                    said.push('\n');
                }
            }
        });
        Ok(Self {
            child: KilledWhenDropped(child),
            stdout,
            said,
            stderr: Some(stderr),
        })
    }

    /// Starts it for one namespace, with `more`: JSON output, five reports a second, sockets of any age.
    pub fn watch(place: Place, netns: u64, more: &[&str]) -> Result<Self> {
        let netns = netns.to_string();
        let mut arguments = vec![
            "stuck",
            "--json",
            "--older-than",
            "0s",
            "--interval",
            "200ms",
            "--netns",
            &netns,
        ];
        arguments.extend(place.arguments());
        arguments.extend(more);
        Self::start(place, &arguments)
    }

    /// Makes it look at one namespace once, for sockets of any age unless `more` says how old.
    pub fn look(place: Place, netns: u64, more: &[&str]) -> Result<Snapshot> {
        let netns = netns.to_string();
        let mut arguments = vec!["stuck", "--json", "--once", "--netns", &netns];
        if !more.contains(&"--older-than") {
            arguments.extend(["--older-than", "0s"]);
        }
        arguments.extend(place.arguments());
        arguments.extend(more);
        let outcome = Self::start(place, &arguments)?.wait()?.success()?;
        let [snapshot] = &outcome.snapshots()?[..] else {
            bail!("not exactly one line: {:?}", outcome.stdout);
        };
        Ok(snapshot.clone())
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// What it has written to its standard error so far.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    /// Waits until it has written a line with this beginning to its standard error.
    pub fn until_said(&mut self, beginning: &str) -> Result<()> {
        let start = Instant::now();
        while !self.said().lines().any(|line| line.starts_with(beginning)) {
            if let Some(status) = self.child.0.try_wait()? {
                bail!("it ended, {status}:\n{}", self.finish()?.stderr);
            }
            ensure!(
                start.elapsed() < patience(),
                "it does not write {beginning:?}, only:\n{}",
                self.said()
            );
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }

    /// Its next line.
    pub fn line(&mut self) -> Result<String> {
        match self.stdout.recv_timeout(patience()) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("no line within {:?}", patience()),
            Err(RecvTimeoutError::Disconnected) => {
                let outcome = self.finish()?;
                bail!("it ended, {}:\n{}", outcome.status, outcome.stderr)
            }
        }
    }

    /// The next snapshot that was taken after this call began. It must show everything that was true before the call.
    pub fn fresh(&mut self) -> Result<Snapshot> {
        let (now, start) = (monotonic_ns(), Instant::now());
        loop {
            let snapshot = parse(&self.line()?)?;
            if snapshot.monotonic_ns > now {
                return Ok(snapshot);
            }
            ensure!(
                start.elapsed() < patience(),
                "only snapshots from before {now}"
            );
        }
    }

    /// The next snapshot that meets the condition.
    pub fn until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot> {
        let start = Instant::now();
        loop {
            let snapshot = parse(&self.line()?)?;
            if holds(&snapshot) {
                return Ok(snapshot);
            }
            ensure!(
                start.elapsed() < patience(),
                "waited for {what}, but: {snapshot:#?}"
            );
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid())?;
        Ok(kill_process(Pid::from_raw(pid).context("no PID")?, signal)?)
    }

    /// Ends it as Ctrl-C does, and checks that it succeeded.
    pub fn end(self) -> Result<Outcome> {
        self.signal(Signal::INT)?;
        self.wait()?.success()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Result<Outcome> {
        self.finish()
    }

    fn finish(&mut self) -> Result<Outcome> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.0.try_wait()? {
                break status;
            }
            ensure!(start.elapsed() < patience(), "it does not end");
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        if let Some(thread) = self.stderr.take() {
            // The thread only copies. It does not panic.
            let _ = thread.join();
        }
        let stdout = self.stdout.iter().map(|line| line + "\n").collect();
        Ok(Outcome {
            status,
            stdout,
            stderr: self.said(),
        })
    }
}

fn parse(line: &str) -> Result<Snapshot> {
    let snapshot: Snapshot =
        serde_json::from_str(line).with_context(|| format!("not a snapshot: {line}"))?;
    ensure!(
        snapshot.schema == "tcptrace.stuck/1",
        "schema {}",
        snapshot.schema
    );
    // RFC 3339 in UTC with nanoseconds.
    let shape: String = snapshot
        .time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    ensure!(
        shape == "0000-00-00T00:00:00.000000000Z",
        "time {}",
        snapshot.time
    );
    Ok(snapshot)
}

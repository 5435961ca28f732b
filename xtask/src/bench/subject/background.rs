//! A program that runs while something else is measured.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::gauge::cpu_time::{self, CpuTime};

/// How long a program may take to write something, or to end after a signal.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. It ends when this is dropped, or when this process is killed.
#[derive(Debug)]
pub struct Background {
    name: String,
    child: Child,
}

impl Background {
    /// Starts a program whose output goes where the command says.
    pub fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null());
        // SAFETY: prctl is async-signal-safe, allocates nothing and changes only the child itself.
        unsafe {
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            );
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// Starts a program and returns the time of each line that it writes.
    pub fn start_timed(mut command: Command) -> Result<(Self, Receiver<Instant>)> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut background = Self::start(command)?;
        let out = background.child.stdout.take().context("it has no stdout")?;
        Ok((background, time_lines(out, "")))
    }

    /// Starts a program and returns the time of each message that begins with this text.
    pub fn start_saying(
        mut command: Command,
        wanted: &'static str,
    ) -> Result<(Self, Receiver<Instant>)> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut background = Self::start(command)?;
        let err = background.child.stderr.take().context("it has no stderr")?;
        Ok((background, time_lines(err, wanted)))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the program has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended with {status}", self.name),
            None => Ok(()),
        }
    }

    /// Waits for a line.
    pub fn line(&self, times: &Receiver<Instant>) -> Result<Instant> {
        times
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} wrote nothing", self.name))
    }

    /// Ends the program like Ctrl-C, waits for it, and returns its CPU time, split and as an exact sum in seconds.
    pub fn stop(mut self) -> Result<(CpuTime, f64)> {
        self.check()?;
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .context("it has no PID")?;
        kill_process(pid, Signal::INT)?;
        let start = Instant::now();
        // The kernel reports the CPU time until the program is waited for.
        let cpu = loop {
            if let Some(cpu) = CpuTime::of_ended(self.pid())? {
                break cpu;
            }
            if start.elapsed() > PATIENCE {
                bail!("{} did not end", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        };
        let exact = cpu_time::so_far(self.pid())?;
        self.child.wait()?;
        Ok((cpu, exact))
    }
}

/// The times of lines that begin with this text.
fn time_lines(from: impl Read + Send + 'static, wanted: &'static str) -> Receiver<Instant> {
    let (times, receiver) = channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            if line.starts_with(wanted.as_bytes()) {
                // Keep reading after the receiver is gone: a full pipe would block the program.
                let _ = times.send(Instant::now());
            }
            line.clear();
        }
    });
    receiver
}

impl Drop for Background {
    fn drop(&mut self) {
        // It only fails for a process that has already been waited for, which is the desired result.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

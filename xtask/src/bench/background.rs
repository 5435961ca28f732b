//! A program that runs while something else is measured.

use super::cpu_time::CpuTime;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to say something, or to end when told.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program, gone when this is dropped, and when this process is killed.
#[derive(Debug)]
pub struct Background {
    name: String,
    child: Child,
}

impl Background {
    /// Starts one whose output goes where the command says.
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

    /// Starts one and gives the time of each line that it writes.
    pub fn start_timed(mut command: Command) -> Result<(Self, Receiver<Instant>)> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut background = Self::start(command)?;
        let out = background.child.stdout.take().context("it has no stdout")?;
        let (times, receiver) = channel();
        thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            while out
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                // Read on when nobody wants to know any more: a full pipe would hold the program up.
                let _ = times.send(Instant::now());
                line.clear();
            }
        });
        Ok((background, receiver))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails when it has ended.
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
            .with_context(|| format!("{} says nothing", self.name))
    }

    /// Ends it as Ctrl-C would, waits for it, and gives the time that it took on the CPUs.
    pub fn stop(mut self) -> Result<CpuTime> {
        self.check()?;
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .context("it has no PID")?;
        kill_process(pid, Signal::INT)?;
        let start = Instant::now();
        // What it took is told until it is waited for.
        let cpu = loop {
            if let Some(cpu) = CpuTime::of_ended(self.pid())? {
                break cpu;
            }
            if start.elapsed() > PATIENCE {
                bail!("{} does not end", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.child.wait()?;
        Ok(cpu)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It fails only for a process that has been waited for: what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

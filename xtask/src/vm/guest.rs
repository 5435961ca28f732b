//! Runs one guest: QEMU from start to end.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::{
    arch::Arch,
    outcome::{console, report::Report},
    store::Boot,
};

/// How long a guest may take to power off.
const SWITCH_OFF: Duration = Duration::from_secs(15);

/// What a guest needs to start.
#[derive(Debug)]
pub struct Guest {
    /// Its architecture.
    pub arch: Arch,
    /// Its kernel.
    pub boot: Boot,
    /// Its initramfs.
    pub initramfs: PathBuf,
    /// The file for its console.
    pub console: PathBuf,
    /// Marks the lines of its init.
    pub token: String,
    /// How long it may take from start to end.
    pub limit: Duration,
}

/// The result of a guest.
#[derive(Debug)]
pub struct Ended {
    /// What it reported.
    pub report: Report,
    /// The health of its kernel.
    pub health: console::Health,
    /// Whether it was stopped because it took too long.
    pub timed_out: bool,
    /// How long it took.
    pub took: Duration,
    /// QEMU's error messages.
    pub complaints: String,
}

impl Guest {
    /// Runs it to its end. Calls `watch` with what is known after each line of its report.
    pub fn run(&self, watch: impl Fn(&Report) + Send) -> Result<Ended> {
        let start = Instant::now();
        let mut qemu = self.start()?;
        let (stdout, stderr) = (qemu.0.stdout.take(), qemu.0.stderr.take());
        let (sender, ended) = mpsc::channel();
        let (report, complaints, timed_out) = thread::scope(|scope| {
            let report = scope.spawn(|| self.read(stdout, start, watch, sender));
            let complaints = scope.spawn(|| read_all(stderr));
            // Disconnected: the guest is gone, and so is the reader.
            let timed_out = match ended.recv_timeout(self.limit) {
                Ok(()) => ended.recv_timeout(SWITCH_OFF) == Err(RecvTimeoutError::Timeout),
                Err(error) => error == RecvTimeoutError::Timeout,
            };
            // This has no effect if it has ended. Its output ends with it, and so do the threads.
            drop(qemu);
            (
                report.join().unwrap_or_default(),
                complaints.join().unwrap_or_default(),
                timed_out,
            )
        });
        // The file is missing if QEMU failed before it made one: its error messages then say why.
        let console = fs::read(&self.console).unwrap_or_default();
        Ok(Ended {
            // A guest that ran its tests and only failed to power off has done its job.
            timed_out: timed_out && report.end.is_none(),
            health: console::health(&String::from_utf8_lossy(&console)),
            took: start.elapsed(),
            report,
            complaints,
        })
    }

    fn start(&self) -> Result<Qemu> {
        let arch = self.arch;
        let parameters = format!(
            "{} loglevel=5 panic=-1 oops=panic nokaslr",
            arch.parameters()
        );
        let mut command = Command::new(arch.qemu());
        command
            .args(["-accel", "tcg", "-smp", "1", "-m", "1024"])
            .args([
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-monitor",
                "none",
                "-no-reboot",
            ])
            .args(["-chardev", "stdio,id=report,signal=off"])
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .args(arch.machine())
            .arg("-kernel")
            .arg(self.boot.image())
            .arg("-initrd")
            .arg(&self.initramfs)
            .args(["-append", &parameters])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: between fork and exec, the closure only makes one system call. It allocates nothing and
        // takes no lock.
        unsafe {
            command.pre_exec(|| {
                // If this program is killed, nothing else stops the guest.
                Ok(rustix::process::set_parent_process_death_signal(Some(
                    Signal::KILL,
                ))?)
            });
        }
        command
            .spawn()
            .map(Qemu)
            .with_context(|| format!("cannot start {}", arch.qemu()))
    }

    fn read(
        &self,
        stdout: Option<ChildStdout>,
        start: Instant,
        watch: impl Fn(&Report),
        ended: mpsc::Sender<()>,
    ) -> Report {
        let mut report = Report::new(&self.token);
        let Some(stdout) = stdout else { return report };
        let mut input = BufReader::new(stdout);
        let mut line = Vec::new();
        // At the end this also sends a line that the guest did not finish. Tests may print bytes that are not UTF-8.
        while input
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let had_ended = report.end.is_some();
            report.line(&String::from_utf8_lossy(&line), start.elapsed());
            line.clear();
            watch(&report);
            if !had_ended && report.end.is_some() {
                // If the time is over, no receiver is left.
                let _ = ended.send(());
            }
        }
        report
    }
}

/// The emulator. It never outlives its owner.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It fails only for a process that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_all(stderr: Option<ChildStderr>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stderr) = stderr {
        // What came before an error is still useful.
        let _ = stderr.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

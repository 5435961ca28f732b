//! Where a case runs: namespaces of its own for the network and for process numbers. They end with their first process,
//! and all that is in them with them, also when this program is killed.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    corpus::case::{Case, Step, programs},
    interrupt, process,
};

/// No case lives longer, in seconds.
const LONGEST: u64 = 600;

/// CLOSE_WAIT and LISTEN in `/proc/net/tcp`.
const CLOSE_WAIT: &str = "08";
const LISTEN: &str = "0A";

/// A stage.
pub struct Stage<'a> {
    case: &'a Case,
    /// `unshare`, whose child is the first process.
    holder: Child,
    first: u32,
    scratch: PathBuf,
    peers: PathBuf,
    out: PathBuf,
    children: Vec<Child>,
}

impl<'a> Stage<'a> {
    /// An empty one, with its loopback up.
    ///
    /// # Errors
    /// No namespaces, or no such programs as `unshare`.
    pub fn new(case: &'a Case, scratch: PathBuf, peers: PathBuf, out: PathBuf) -> Result<Self> {
        fs::create_dir_all(&scratch)?;
        // It tells its end of its parent's: whoever kills this program kills the holder, and with it the stage.
        let mut holder = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "--",
                "unshare",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["--", "sleep", &LONGEST.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start setpriv and unshare, of Debian's package util-linux")?;
        let first = match first_process(&mut holder) {
            Ok(first) => first,
            Err(error) => {
                let _ = holder.kill();
                let _ = holder.wait();
                return Err(error);
            }
        };
        let stage = Self {
            case,
            holder,
            first,
            scratch,
            peers,
            out,
            children: Vec::new(),
        };
        let mut up = stage.inside("ip link set lo up");
        process::run(
            &mut up,
            "bring the loopback up (ip is in Debian's package iproute2)",
        )?;
        Ok(stage)
    }

    /// The number of its network namespace.
    ///
    /// # Errors
    /// It has ended.
    pub fn netns(&self) -> Result<u64> {
        let path = format!("/proc/{}/ns/net", self.first);
        Ok(fs::metadata(path).context("the stage has ended")?.ino())
    }

    /// Starts the processes, and does what comes then, until the situation stands. Returns how many sockets are in
    /// CLOSE_WAIT then.
    ///
    /// # Errors
    /// A process that does not listen, or a situation that does not come.
    pub fn play(&mut self, patience: Duration) -> Result<usize> {
        for step in &self.case.start {
            self.start(step)?;
        }
        let begun = Instant::now();
        for then in &self.case.then {
            let at = Duration::from_secs_f64(then.after_s);
            interrupt::sleep(at.saturating_sub(begun.elapsed()))?;
            process::run(&mut self.inside(&then.run), "do what the case does then")?;
        }
        loop {
            let count = self.in_close_wait()?;
            if count >= self.case.truth.sockets {
                return Ok(count);
            }
            if begun.elapsed() > patience {
                bail!(
                    "only {count} of {} sockets came into CLOSE_WAIT; what its processes wrote is in {}",
                    self.case.truth.sockets,
                    self.scratch.display()
                );
            }
            interrupt::sleep(Duration::from_millis(100))?;
        }
    }

    fn start(&mut self, step: &Step) -> Result<()> {
        let output = File::create(self.scratch.join(format!("{}.out", step.name)))?;
        let mut command = self.inside(&format!("echo $$ > {}.pid; exec {}", step.name, step.run));
        command.stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("cannot start nsenter")?;
        self.children.push(child);
        let begun = Instant::now();
        while let Some(port) = step.port
            && !self.listens(port)?
        {
            if begun.elapsed() > Duration::from_secs(60) {
                let out = self.scratch.display();
                bail!(
                    "{} does not listen on {port}; what it wrote is in {out}",
                    step.name
                );
            }
            interrupt::sleep(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// A shell command inside.
    fn inside(&self, run: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.first.to_string(),
                "--net",
                "--pid",
                "--",
                "sh",
                "-c",
                run,
            ])
            .current_dir(&self.scratch)
            .env("HERE", &self.case.folder)
            .env("PEERS", &self.peers)
            .env("OUT", &self.out)
            .env("PATH", programs())
            .stdin(Stdio::null());
        command
    }

    fn in_close_wait(&self) -> Result<usize> {
        Ok(self
            .rows()?
            .iter()
            .filter(|(_, state)| state == CLOSE_WAIT)
            .count())
    }

    fn listens(&self, port: u16) -> Result<bool> {
        let ending = format!(":{port:04X}");
        let is = |(local, state): &(String, String)| state == LISTEN && local.ends_with(&ending);
        Ok(self.rows()?.iter().any(is))
    }

    /// Local address and state of each socket inside.
    fn rows(&self) -> Result<Vec<(String, String)>> {
        let mut rows = Vec::new();
        for table in ["tcp", "tcp6"] {
            let path = format!("/proc/{}/net/{table}", self.first);
            let text = fs::read_to_string(path).context("the stage has ended")?;
            for line in text.lines().skip(1) {
                let mut words = line.split_whitespace().skip(1);
                if let (Some(local), Some(state)) = (words.next(), words.nth(1)) {
                    rows.push((local.into(), state.into()));
                }
            }
        }
        Ok(rows)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // With its first process the kernel kills all others.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        for child in &mut self.children {
            // nsenter stops with what it started.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(tidy) = &self.case.tidy {
            let _ = Command::new("sh")
                .args(["-c", tidy])
                .current_dir(&self.scratch)
                .status();
        }
    }
}

/// The number of the holder's only child, once it runs in namespaces of its own.
fn first_process(holder: &mut Child) -> Result<u32> {
    let children = format!("/proc/{0}/task/{0}/children", holder.id());
    let own = fs::read_link("/proc/self/ns/net")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = holder.try_wait()? {
            bail!("cannot make namespaces: unshare ended with {status}");
        }
        let list = fs::read_to_string(&children).unwrap_or_default();
        if let Some(first) = list
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok())
            && let Ok(its) = fs::read_link(Path::new("/proc").join(format!("{first}/ns/net")))
            && its != own
        {
            return Ok(first);
        }
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("cannot make namespaces: unshare starts nothing");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

//! tcptrace on a stage: a session from before the first process on, and one look at the end.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process;

/// A session that runs.
pub struct Session {
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Session {
    /// Starts it, and waits for its first look.
    ///
    /// # Errors
    /// It ends, or shows nothing.
    pub fn start(program: &Path, netns: u64, scratch: &Path) -> Result<Self> {
        let (output, errors) = (scratch.join("session.jsonl"), scratch.join("session.err"));
        let child = Command::new(program)
            .args([
                "stuck",
                "--json",
                "--interval",
                "2s",
                "--netns",
                &netns.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut session = Self {
            child,
            output,
            errors,
        };
        let begun = Instant::now();
        while fs::metadata(&session.output)?.len() == 0 {
            if session.child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(60) {
                bail!(
                    "tcptrace shows nothing: {}",
                    fs::read_to_string(&session.errors)?
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(session)
    }

    /// Ends it in order. Returns its last look.
    ///
    /// # Errors
    /// It fails, or its output is no JSON.
    pub fn end(mut self) -> Result<Value> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process number")?, Signal::INT)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!(
                "tcptrace ended with {status}: {}",
                fs::read_to_string(&self.errors)?
            );
        }
        let text = fs::read_to_string(&self.output)?;
        look(text.lines().last().unwrap_or_default())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One look, without a session.
///
/// # Errors
/// It fails, or its output is no JSON.
pub fn once(program: &Path, netns: u64) -> Result<Value> {
    let mut command = Command::new(program);
    command.args(["stuck", "--json", "--once", "--netns", &netns.to_string()]);
    look(process::capture(&mut command, "look once")?.trim())
}

/// The same as a person sees it, with the reasons.
///
/// # Errors
/// It fails.
pub fn screen(program: &Path, netns: u64, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command
        .args(["stuck", "--once", "--netns", &netns.to_string()])
        .args(arguments);
    process::capture(&mut command, "look once")
}

fn look(line: &str) -> Result<Value> {
    serde_json::from_str(line).with_context(|| format!("no look: {line:?}"))
}

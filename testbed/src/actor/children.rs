//! Children of an actor, which inherit descriptors.

use std::collections::HashMap;
use std::io::{Read, Write, stdin, stdout};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::inherit;

/// The name of a child process, which also identifies it as one.
pub const CHILD: &str = "leaky-child";

/// The children of an actor, which only hold the descriptors that they inherited.
#[derive(Default)]
pub struct Children(HashMap<u32, Child>);

impl Children {
    /// Starts a child that has these descriptors under the same numbers, and no others of this process.
    pub fn start(&mut self, fds: Vec<i32>) -> Result<u32> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["actor", CHILD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        inherit::keep_open(&mut command, fds);
        let mut child = command.spawn()?;
        let ready = child.stdout.as_mut().map(|out| out.read_exact(&mut [0]));
        let pid = child.id();
        self.0.insert(pid, child);
        ready
            .context("the child has no stdout")?
            .context("the child did not start")?;
        Ok(pid)
    }

    /// Ends a child.
    pub fn end(&mut self, pid: u32) -> Result<()> {
        let mut child = self
            .0
            .remove(&pid)
            .with_context(|| format!("{pid} is not a child of this actor"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

/// A child does nothing until the pipe from its parent breaks.
pub fn wait_for_end() -> Result<()> {
    // Reports that it now has its own name.
    stdout().write_all(b"\n")?;
    stdout().flush()?;
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

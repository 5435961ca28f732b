//! The side that starts a part and talks to it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{PLAY, Part};
use crate::Netns;

/// A part that runs in a namespace. Dropping this ends it.
#[derive(Debug)]
pub struct Player {
    name: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Player {
    /// Starts a process that plays this part, and waits until it is ready.
    pub fn start(netns: &Netns, part: &Part) -> Result<Self> {
        let name = serde_json::to_string(part)?;
        let mut command = Command::new("/proc/self/exe");
        command
            .args([PLAY, &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = netns
            .run(move || command.spawn())?
            .with_context(|| format!("cannot start {name}"))?;
        let orders = child.stdin.take().context("it has no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("it has no stdout")?);
        let mut player = Self {
            name,
            child,
            orders,
            answers,
        };
        match player.answer()?.as_str() {
            "ready" => Ok(player),
            other => bail!("{} began with {other:?}", player.name),
        }
    }

    /// Gives an order and does not wait for the answer.
    pub fn tell(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}")
            .with_context(|| format!("{} is gone before {order:?}", self.name))
    }

    /// Waits for the answer to the oldest order that has none yet.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("{} ended", self.name);
        }
        Ok(line.trim_end().to_owned())
    }

    /// Gives an order and waits for the answer.
    pub fn ask(&mut self, order: &str) -> Result<String> {
        self.tell(order)?;
        self.answer()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It only fails for a process that has already been waited for, which is the desired result.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

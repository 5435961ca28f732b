//! The side of an actor that gives the orders.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Order, Reply, Socket, inherit};
use crate::Netns;

/// A process in a namespace that executes orders. Dropping this ends it.
#[derive(Debug)]
pub struct Actor {
    comm: String,
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts an actor with a name of at most 15 bytes.
    pub fn start(netns: &Netns, comm: &str) -> Result<Self> {
        let mut command = command(comm, &[]);
        let child = netns
            .run(move || command.spawn())?
            .context("cannot start an actor")?;
        Self::greet(comm, child)
    }

    /// Starts an actor with a PID that another process had before. `None` if this is not possible: the kernel does not
    /// support it, or other programs constantly start processes.
    pub fn start_as(netns: &Netns, comm: &str, pid: u32) -> Result<Option<Self>> {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            // The next process gets the number after the last one.
            if std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
                return Ok(None);
            }
            let actor = Self::start(netns, comm)?;
            if actor.pid() == pid {
                return Ok(Some(actor));
            }
        }
        Ok(None)
    }

    /// Starts an actor as a child of this process, which inherits these descriptors.
    pub(super) fn inherit(comm: &str, fds: &[i32]) -> Result<Self> {
        let child = command(comm, fds)
            .spawn()
            .context("cannot start a worker")?;
        Self::greet(comm, child)
    }

    fn greet(comm: &str, mut child: Child) -> Result<Self> {
        let orders = child.stdin.take().context("the actor has no stdin")?;
        let replies = BufReader::new(child.stdout.take().context("the actor has no stdout")?);
        let mut actor = Self {
            comm: comm.into(),
            child,
            orders,
            replies,
        };
        match actor.reply()? {
            Reply::Done => Ok(actor),
            other => bail!("the actor began with {other:?}"),
        }
    }

    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its name at the start.
    pub fn comm(&self) -> &str {
        &self.comm
    }

    /// Gives an order and waits for the answer; "failed" is an error.
    pub fn tell(&mut self, order: &Order) -> Result<Reply> {
        self.begin(order)?;
        self.finish().with_context(|| format!("{order:?}"))
    }

    /// Gives an order that takes a while. Call [`Actor::finish`] before the next order.
    pub fn begin(&mut self, order: &Order) -> Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let sent = self.orders.write_all(&line);
        sent.with_context(|| format!("actor {} is gone before {order:?}", self.comm))
    }

    /// Waits for the answer to such an order; "failed" is an error.
    pub fn finish(&mut self) -> Result<Reply> {
        match self
            .reply()
            .with_context(|| format!("actor {}", self.comm))?
        {
            Reply::Failed(why) => bail!("actor {}: {why}", self.comm),
            reply => Ok(reply),
        }
    }

    /// Gives an order that is answered with a time.
    pub fn time(&mut self, order: &Order) -> Result<u64> {
        match self.tell(order)? {
            Reply::Time(time) => Ok(time),
            other => bail!("{order:?} was answered with {other:?}"),
        }
    }

    /// Gives an order that is answered with sockets.
    pub fn sockets(&mut self, order: &Order) -> Result<Vec<Socket>> {
        match self.tell(order)? {
            Reply::Sockets(sockets) => Ok(sockets),
            other => bail!("{order:?} was answered with {other:?}"),
        }
    }

    /// Gives an order that is answered with one socket.
    pub fn socket(&mut self, order: &Order) -> Result<Socket> {
        self.sockets(order)?
            .pop()
            .context("no socket in the answer")
    }

    /// Starts a child of the actor that inherits descriptors, and returns its PID.
    pub fn fork(&mut self, fds: &[i32]) -> Result<u32> {
        match self.tell(&Order::Fork { fds: fds.to_vec() })? {
            Reply::Pid(pid) => Ok(pid),
            other => bail!("fork was answered with {other:?}"),
        }
    }

    /// Starts another actor as its child, and returns its PID.
    pub fn worker(&mut self, comm: &str, fds: &[i32]) -> Result<u32> {
        let (comm, fds) = (comm.into(), fds.to_vec());
        match self.tell(&Order::Worker { comm, fds })? {
            Reply::Pid(pid) => Ok(pid),
            other => bail!("worker was answered with {other:?}"),
        }
    }

    /// Makes a thread of the actor execute an order that is answered with one socket; also returns its thread ID.
    pub fn thread(&mut self, order: Order) -> Result<(u32, Socket)> {
        let order = Box::new(order);
        match self.tell(&Order::Thread { order })? {
            Reply::Thread(tid, reply) => match *reply {
                Reply::Sockets(mut sockets) => Ok((tid, sockets.pop().context("no socket")?)),
                other => bail!("a thread answered {other:?}"),
            },
            other => bail!("thread was answered with {other:?}"),
        }
    }

    fn reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            bail!("the actor ended");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Ends it at once with SIGKILL, whatever it is doing.
    pub fn kill(&mut self) {
        // It only fails for a process that has already been waited for, which is the desired result.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program, run again as an actor with these descriptors.
fn command(comm: &str, fds: &[i32]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(format!("/opt/testbed/{comm}.program"));
    command
        .args(["actor", comm])
        .args(fds.iter().map(ToString::to_string))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    inherit::keep_open(&mut command, fds.to_vec());
    command
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

//! Many network namespaces with one socket each, and one of them with as many sockets in TIME_WAIT as wanted.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::{LIFETIME, PLAY, Part, begin, number, obey, say};
use crate::network::{loopback_up, netns};

/// Addresses to connect to. Each has all ports of its own, so that TIME_WAIT does not use them up, and the kernel does
/// not search long for a free one.
const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 0, 0, 3),
    Ipv4Addr::new(127, 0, 0, 4),
];

/// Listens in its own namespace, and starts `others` processes that do so in theirs.
pub fn keep(others: usize) -> Result<()> {
    begin("keeper")?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut sleepers = Sleepers::default();
    for index in 0..others {
        let failed = || format!("cannot start sleeper {}", index + 1);
        sleepers.start().with_context(failed)?;
    }
    say("ready")?;
    obey(|words| match words.first() {
        Some(&"time-wait") => {
            for index in 0..number(words, 1)? {
                linger(&listener, ADDRESSES[index % ADDRESSES.len()])?;
            }
            Ok("done".into())
        }
        Some(&"end") => {
            sleepers.end();
            Ok("done".into())
        }
        _ => bail!("an order must be `time-wait` or `end`"),
    })
}

/// One connection whose client closes first, so that the kernel keeps it in TIME_WAIT for a minute.
fn linger(listener: &TcpListener, address: Ipv4Addr) -> Result<()> {
    let port = listener.local_addr()?.port();
    let client = TcpStream::connect(SocketAddr::new(address.into(), port))?;
    let (server, _) = listener.accept()?;
    drop(client);
    drop(server);
    Ok(())
}

/// Processes that end with this one.
#[derive(Default)]
struct Sleepers(Vec<Child>);

impl Sleepers {
    /// Starts one and waits until it listens.
    fn start(&mut self) -> Result<()> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args([PLAY, &serde_json::to_string(&Part::Sleeper)?])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take();
        self.0.push(child);
        let mut line = String::new();
        BufReader::new(out.context("it has no stdout")?).read_line(&mut line)?;
        ensure!(line == "ready\n", "it began with {line:?}");
        Ok(())
    }

    /// Ends all and waits for them. First all are killed: the kernel removes namespaces together faster than alone.
    fn end(&mut self) {
        for child in &mut self.0 {
            // It only fails for a process that has already been waited for, which is the desired result.
            let _ = child.kill();
        }
        for mut child in self.0.drain(..) {
            let _ = child.wait();
        }
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        self.end();
    }
}

/// Listens in a new namespace and does nothing else. Unlike other parts it has no second thread that limits its life
/// and takes no orders: it is to be the smallest process that a namespace can have.
pub fn sleep() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_name(c"sleeper")?;
    netns::leave()?;
    loopback_up()?;
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // Fails if the parent ended before it could be asked for a signal.
    say("ready")?;
    thread::sleep(LIFETIME);
    bail!("nobody ended it")
}

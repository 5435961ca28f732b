//! Sockets that are open although no table of descriptors has them. The tool may not find out who holds them, but it
//! never says that nobody does, and never names somebody else.

use anyhow::{Context, Result, bail, ensure};
use testbed::{Actor, Family, Hiding, Order, Reply, Side, Stage, Truth};

use crate::{
    harness::{case::Cases, verdict::Ignored},
    run::snapshot::{Snapshot, Socket},
    stuck::{holders, walk::ways::look_in_all},
};

pub fn add(cases: &mut Cases) {
    let named = [
        ("held_by_io_uring", Hiding::IoUring, "io_uring"),
        ("held_by_a_mapping", Hiding::Mapping, "mapping"),
    ];
    for (name, how, via) in named {
        cases.add(name, move || hidden(how, Some(via)));
        let name = format!("{name}_of_a_dead_main_thread");
        cases.add(&name, move || by_other_threads(how, via)).here();
    }
    cases.add("held_by_a_blocked_write", || hidden(Hiding::Write, None));
    cases.add("held_by_a_poll", || hidden(Hiding::Poll, None));
    cases.add("held_in_a_message", in_a_message);
    cases.add("held_elsewhere_beside_a_message_of_others", || {
        beside_a_stranger(message_in_flight)
    });
    cases.add("held_elsewhere_beside_a_blocked_call_of_others", || {
        beside_a_stranger(blocked_call)
    });
}

/// A socket of the server in CLOSE_WAIT that only this keeps open.
fn hide(stage: &mut Stage, how: Hiding) -> Result<Truth> {
    let mut truths = stage.server_leak(Family::Ipv4, 1)?;
    let mut truth = truths.pop().context("no socket")?;
    for (_, fd) in std::mem::take(&mut truth.holders) {
        hide_one(&mut stage.server, fd, how)?;
    }
    Ok(truth)
}

fn hide_one(actor: &mut Actor, fd: i32, how: Hiding) -> Result<()> {
    match actor.tell(&Order::Hide { fd, how })? {
        Reply::Time(_) => Ok(()),
        Reply::Error(error) => {
            let error = std::io::Error::from_raw_os_error(error);
            Err(Ignored::because(format!("refused here: {how:?}: {error}")))
        }
        other => bail!("the answer is {other:?}"),
    }
}

/// Every way to look shows the socket, and as its holder this process in this way, or nobody if nothing names the
/// socket. An older kernel may not name it.
fn held_by(stage: &Stage, truth: &Truth, pid: u32, via: Option<&str>) -> Result<()> {
    for (way, look) in look_in_all(stage.netns().inode())? {
        let mut sockets = look.sockets.iter();
        let socket = sockets.find(|socket| socket.inode == Some(truth.inode));
        let socket = socket.with_context(|| format!("way {way}: not seen"))?;
        let wrong = || format!("way {way}: {socket:#?}");
        right(socket, pid, via).with_context(wrong)?;
    }
    Ok(())
}

fn right(socket: &Socket, pid: u32, via: Option<&str>) -> Result<()> {
    let Some(holders) = &socket.holders else {
        ensure!(socket.held == "unknown", "not unknown");
        return Ok(());
    };
    ensure!(!holders.is_empty(), "somebody holds it");
    let via = via.context("nothing names its holder")?;
    let by = holders.iter().all(|one| one.pid == pid && one.via == via);
    ensure!(by && socket.held == via, "it is held by {pid}, by {via}");
    Ok(())
}

fn hidden(how: Hiding, via: Option<&str>) -> Result<()> {
    let mut stage = Stage::new()?;
    let truth = hide(&mut stage, how)?;
    held_by(&stage, &truth, stage.server.pid(), via)
}

/// The first thread has exited, and what it shows is empty: the others have it. What the kernel names of a process whose
/// first thread lives, it names of this one.
fn by_other_threads(how: Hiding, via: &str) -> Result<()> {
    let mut stage = Stage::new()?;
    let truth = hide(&mut stage, how)?;
    let named = |stage: &Stage| -> Result<Vec<bool>> {
        let looks = look_in_all(stage.netns().inode())?;
        let is_named = |(_, look): &(_, Snapshot)| {
            let mut sockets = look.sockets.iter();
            sockets.any(|socket| socket.inode == Some(truth.inode) && socket.held == via)
        };
        Ok(looks.iter().map(is_named).collect())
    };
    let before = named(&stage)?;
    stage.server.tell(&Order::LeaveMainThread)?;
    held_by(&stage, &truth, stage.server.pid(), Some(via))?;
    let after = named(&stage)?;
    ensure!(
        before == after,
        "named before: {before:?}, after: {after:?}"
    );
    Ok(())
}

/// The client has a Unix socket, in which the descriptor waits to be received.
fn in_a_message() -> Result<()> {
    let mut stage = Stage::new()?;
    let truths = holders::in_flight(&mut stage, Family::Ipv4, 1)?;
    let truth = &truths[0];
    held_by(&stage, truth, stage.client.pid(), Some("in_flight"))?;
    // Only the kernel's own list of the message names the socket.
    let looks = look_in_all(stage.netns().inode())?;
    let walked = looks.iter().filter(|(way, _)| *way != "proc");
    for (way, look) in walked {
        let named = look.sockets.iter().any(|socket| socket.held == "in_flight");
        ensure!(named, "way {way}: not in a message: {:#?}", look.sockets);
    }
    Ok(())
}

/// Makes a process that has nothing to do with the socket look as if it could hold it.
type Stranger = fn(&mut Stage) -> Result<()>;

/// What a process shows does not always name the socket. A sign that is the only one may still be about another one:
/// a poll shows nothing.
fn beside_a_stranger(stranger: Stranger) -> Result<()> {
    let mut stage = Stage::new()?;
    let truth = hide(&mut stage, Hiding::Poll)?;
    stranger(&mut stage)?;
    held_by(&stage, &truth, stage.server.pid(), None)
}

/// The client has another socket in a message to itself.
fn message_in_flight(stage: &mut Stage) -> Result<()> {
    let pairs = stage.connect(Family::Ipv6, 1)?;
    let (fd, name) = (pairs[0].client.fd, String::from("others"));
    stage.client.tell(&Order::Mailbox { name: name.clone() })?;
    stage.client.tell(&Order::Pass { fd, name })?;
    Ok(())
}

/// A thread of the client is blocked in a write to another socket, whose descriptor is closed.
fn blocked_call(stage: &mut Stage) -> Result<()> {
    let pairs = stage.connect(Family::Ipv6, 1)?;
    hide_one(
        &mut stage.client,
        pairs[0].end(Side::Client).fd,
        Hiding::Write,
    )
}

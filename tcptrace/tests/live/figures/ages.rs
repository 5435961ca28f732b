//! Sockets that entered their state unseen: stuck, perhaps stuck, or surely younger.

use std::{thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use testbed::{Family, Order, Pair, Side, Stage, clock::slowness, state::LAST_ACK};

use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    // On an emulated machine a look takes as long as what these wait for.
    (cases.add("may_be_stuck_behind_keepalive", behind_keepalive)).here();
    (cases.add("may_be_stuck_while_it_sends", while_it_sends)).here();
    (cases.add("syn_sent_is_as_old_as_its_timers", syn_sent)).here();
    cases.add("last_ack_is_no_older_than_its_data", last_ack);
    cases.add("fin_wait1_may_be_stuck", fin_wait1);
}

const COUNT: usize = 3;
const WAYS: [&str; 2] = ["auto", "proc"];

fn look(stage: &Stage, way: &str, words: &[&str]) -> Result<Snapshot> {
    let words = [&["--walk", way], words].concat();
    Tool::look(Place::AsIs, stage.netns().inode(), &words)
}

/// So many sockets of each answer, and no bound that the truth lies beyond.
fn answers(look: &Snapshot, [stuck, may_be, younger]: [usize; 3]) -> Result<()> {
    let found = [look.stuck, look.may_be, look.younger];
    ensure!(found == [stuck, may_be, younger], "{found:?}: {look:#?}");
    let words: Vec<_> = look
        .sockets
        .iter()
        .map(|socket| &socket.stuck[..])
        .collect();
    let expected = [vec!["yes"; stuck], vec!["may_be"; may_be]].concat();
    ensure!(words == expected, "not in this order: {words:?}");
    let of_groups =
        |of: fn(&crate::run::snapshot::Group) -> usize| look.groups.iter().map(of).sum::<usize>();
    ensure!(
        (
            of_groups(|group| group.stuck),
            of_groups(|group| group.may_be)
        ) == (stuck, may_be),
        "{:#?}",
        look.groups
    );
    Ok(())
}

/// A keepalive probe that is answered makes the lower bound of the age worse, not the upper one.
fn behind_keepalive() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, 2 * COUNT)?;
    let truths = stage.leak(&pairs, Side::Server)?;
    for pair in &pairs[..COUNT] {
        stage.server.tell(&Order::Keepalive {
            fd: pair.server.fd,
            idle: 1,
            interval: 1,
            count: 9,
        })?;
    }
    // The probes come each second; the others are silent.
    sleep(Duration::from_millis(2400));
    let new = stage.server_leak(Family::Ipv4, COUNT)?;
    let older_than = format!("{}ms", 2000);
    for way in WAYS {
        let look = look(&stage, way, &["--older-than", &older_than])?;
        answers(&look, [COUNT, COUNT, COUNT])?;
        for socket in &look.sockets {
            let truth = (truths.iter()).find(|truth| truth.cookie == socket.cookie);
            let Some(truth) = truth else {
                // The walk makes no socket give a cookie, but the truth has asked for all of them.
                anyhow::bail!("a stranger: {socket:#?}");
            };
            let at_most_ns = socket.age_at_most_ns.unwrap_or(0);
            let true_ns = look.monotonic_ns.saturating_sub(truth.after_ns);
            ensure!(at_most_ns >= true_ns, "{socket:#?}");
            // The handshake or the FIN came just before.
            let slack_ns = 1_000_000_000 * u64::from(slowness());
            ensure!(at_most_ns < true_ns + slack_ns, "{socket:#?}");
        }
    }
    drop(new);
    Ok(())
}

/// Half-closed and still sending: each acknowledgment makes the lower bound worse.
fn while_it_sends() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Mapped, COUNT)?;
    stage.leak(&pairs, Side::Server)?;
    sleep(Duration::from_millis(1200));
    send(&mut stage, &pairs)?;
    for way in WAYS {
        let look = look(&stage, way, &["--older-than", "1s"])?;
        answers(&look, [0, COUNT, 0])?;
    }
    Ok(())
}

fn send(stage: &mut Stage, pairs: &[Pair]) -> Result<()> {
    for pair in pairs {
        let fd = pair.server.fd;
        stage.server.tell(&Order::Send { fd, bytes: 10 })?;
    }
    // The acknowledgment may be delayed.
    sleep(Duration::from_millis(100));
    Ok(())
}

/// The timer that sends a SYN again tells since when.
fn syn_sent() -> Result<()> {
    let mut stage = Stage::new()?;
    let listener = stage.listener(Family::Ipv6);
    let (fd, address) = (listener.fd, listener.local);
    stage.server.tell(&Order::Deafen { fd })?;
    let count = COUNT;
    stage
        .client
        .sockets(&Order::ConnectUnanswered { address, count })?;
    let in_state = |more: &[&'static str]| [&["--state", "SYN_SENT"], more].concat();
    for way in WAYS {
        // Before the first SYN is sent again, there is an upper bound, too.
        let new = look(&stage, way, &in_state(&["--older-than", "1h"]))?;
        answers(&new, [0, 0, COUNT])?;
    }
    sleep(Duration::from_millis(3300));
    for way in WAYS {
        let old = look(&stage, way, &in_state(&["--older-than", "1s"]))?;
        answers(&old, [COUNT, 0, 0])?;
        let oldest_ns = old.sockets[0].age_ns;
        ensure!(
            oldest_ns < 60_000_000_000 * u64::from(slowness()),
            "{old:#?}"
        );
        let unknown = look(&stage, way, &in_state(&["--older-than", "1h"]))?;
        answers(&unknown, [0, COUNT, 0])?;
    }
    Ok(())
}

/// Its process closed it after the peer's FIN, and that came after the data.
fn last_ack() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    stage.leak(&pairs, Side::Server)?;
    for pair in &pairs {
        stage.client.tell(&Order::Deafen { fd: pair.client.fd })?;
        let fd = pair.server.fd;
        stage.server.tell(&Order::Shutdown { fd })?;
        let state = LAST_ACK;
        stage.server.time(&Order::Await { fd, state })?;
    }
    sleep(Duration::from_millis(1200));
    for way in WAYS {
        let in_state = |threshold| ["--state", "LAST_ACK", "--older-than", threshold];
        answers(&look(&stage, way, &in_state("1s"))?, [0, COUNT, 0])?;
        answers(&look(&stage, way, &in_state("1h"))?, [0, 0, COUNT])?;
    }
    Ok(())
}

/// Nothing tells how long a socket has been in `FIN_WAIT1`.
fn fin_wait1() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        stage.client.tell(&Order::Deafen { fd: pair.client.fd })?;
        stage.server.tell(&Order::Shutdown { fd: pair.server.fd })?;
    }
    for way in WAYS {
        let look = look(&stage, way, &["--state", "FIN_WAIT1", "--older-than", "1h"])?;
        answers(&look, [0, COUNT, 0])?;
        let unknown = look.sockets.iter().all(|one| one.age_at_most_ns.is_none());
        ensure!(unknown, "{:#?}", look.sockets);
    }
    Ok(())
}

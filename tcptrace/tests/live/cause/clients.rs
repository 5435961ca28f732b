//! Sockets that a process connected: leased, or idle in a pool.

use std::{thread::sleep, time::Duration, time::Instant};

use anyhow::{Result, ensure};
use testbed::{Family, Order, Stage, clock::slowness, state::CLOSE_WAIT};

use super::{
    check::{FinGap, said},
    traffic::{ANSWER, ask, exchange, lease},
};
use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::RecvQueues, tool::Tool},
};

/// What the kernel's ticks may add to a gap, and what is lost where it is rounded.
const ROUNDED: Duration = Duration::from_millis(120);

pub fn add(cases: &mut Cases) {
    cases.add("cause_leased", || leased(10));
    cases.add("cause_leased_100", || leased(100)).here();
    cases.add("cause_leased_1000", || leased(1000)).here();
    cases.add("cause_leased_unread", leased_unread);
    cases.add("cause_idle_pooled", idle_pooled).here();
    cases.add("cause_peer_killed", peer_killed).here();
}

/// Checks that the FIN came so long after the last data on all but the farthest tenth.
pub fn gap_right(gap: FinGap, count: usize, least: Duration, most: Duration) -> Result<()> {
    let rounded = ROUNDED * slowness();
    ensure!(
        gap.of == count && gap.on >= count - count / 10,
        "not {count}: {gap:?}"
    );
    ensure!(
        gap.least <= most + rounded && gap.least + rounded >= least,
        "not {least:?} to {most:?}: {gap:?}"
    );
    ensure!(
        gap.most <= most + rounded,
        "not {least:?} to {most:?}: {gap:?}"
    );
    Ok(())
}

/// The mission: an answer and its end, and nobody looks again. It is called by its name at once, and a leak when it is
/// sure (`minute.rs`).
fn leased(count: usize) -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, count)?;
    let longest = lease(&mut stage.client, &mut stage.server, &pairs)?;
    let look = Tool::look(Place::AsIs, stage.netns().inode(), &[])?;
    let said = said(&look, stage.client.pid(), "client")?;
    let half = count / 2;
    let queues = format!("Recv-Q 0 on {half}, 1 on {half}: nobody looked since");
    let once = format!("one exchange on {count} of {count}");
    said.is(count, "leased", "unknown")?
        .because(&[&queues, &once])?
        .leak_because(&["the oldest has been there for"])?;
    let zero_and_one = RecvQueues {
        zero: half,
        one: half,
        more: 0,
        unknown: 0,
    };
    ensure!(said.group.recv_queues == zero_and_one, "{said:#?}");
    ensure!(said.diagnosis.causes.len() == 1, "{said:#?}");
    ensure!(!said.diagnosis.would_tell.is_empty(), "{said:#?}");
    ensure!(said.diagnosis.growth.is_none(), "one look: {said:#?}");
    gap_right(said.fin_gap()?, count, Duration::ZERO, longest)
}

/// An answer that nobody reads at all.
fn leased_unread() -> Result<()> {
    const COUNT: usize = 10;
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        ask(&mut stage.client, &mut stage.server, pair)?;
        let (fd, bytes) = (pair.server.fd, ANSWER);
        stage.server.tell(&Order::SendLast { fd, bytes })?;
        let (fd, state) = (pair.client.fd, CLOSE_WAIT);
        stage.client.time(&Order::Await { fd, state })?;
    }
    let look = Tool::look(Place::AsIs, stage.netns().inode(), &[])?;
    let said = said(&look, stage.client.pid(), "client")?;
    said.is(COUNT, "leased", "unknown")?
        .because(&["an answer came that nobody reads on 10 of 10"])?;
    gap_right(said.fin_gap()?, COUNT, Duration::ZERO, Duration::ZERO)
}

/// They were used several times, and the server closes each when it has been idle for 2 s.
fn idle_pooled() -> Result<()> {
    const COUNT: usize = 10;
    const IDLE: Duration = Duration::from_secs(2);
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    let mut last_uses = Vec::new();
    for round in 0..3 {
        for pair in &pairs {
            exchange(&mut stage.client, &mut stage.server, pair)?;
            if round == 2 {
                last_uses.push(Instant::now());
                sleep(Duration::from_millis(60));
            }
        }
    }
    let mut longest = IDLE;
    for (pair, used) in pairs.iter().zip(last_uses) {
        sleep((used + IDLE).saturating_duration_since(Instant::now()));
        stage.server.time(&Order::Shutdown { fd: pair.server.fd })?;
        let (fd, state) = (pair.client.fd, CLOSE_WAIT);
        stage.client.time(&Order::Await { fd, state })?;
        longest = longest.max(used.elapsed());
    }
    let look = Tool::look(Place::AsIs, stage.netns().inode(), &[])?;
    let said = said(&look, stage.client.pid(), "client")?;
    said.is(COUNT, "idle_pooled", "unknown")?
        .cause(1, "leased")?
        .because(&["several exchanges on 10 of 10"])?;
    gap_right(said.fin_gap()?, COUNT, IDLE, longest)
}

/// The server's process ends: all FINs come at once, right after the last answers of some.
fn peer_killed() -> Result<()> {
    const COUNT: usize = 10;
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        exchange(&mut stage.client, &mut stage.server, pair)?;
        sleep(Duration::from_millis(80) * slowness());
    }
    stage.server.kill();
    for pair in &pairs {
        let (fd, state) = (pair.client.fd, CLOSE_WAIT);
        stage.client.time(&Order::Await { fd, state })?;
    }
    let look = Tool::look(Place::AsIs, stage.netns().inode(), &[])?;
    said(&look, stage.client.pid(), "client")?
        .is(COUNT, "idle_pooled", "unknown")?
        .cause(1, "leased")?
        .because(&["the FINs came within", "the peer's process ended?"])?;
    Ok(())
}

//! Sockets that came in at a listener: never accepted, not read, or not closed after the end.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use testbed::{
    Family, Order, Pair, Reply, Stage,
    clock::{patience, slowness},
};

use super::{
    check::said,
    traffic::{ANSWER, REQUEST, ask, clients, exchange, fin, read, send},
};
use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

const COUNT: usize = 10;

pub fn add(cases: &mut Cases) {
    cases.add("cause_never_accepted", never_accepted);
    cases.add("cause_starved", starved);
    cases.add("cause_starved_behind_a_queue", held_up).here();
    cases.add("cause_eof_ignored", eof_ignored);
    cases.add("cause_end_not_read", end_not_read).here();
    cases.add("cause_sending_after_the_end", sent_since).here();
    cases.add("cause_shut_window", shut_window);
}

fn look(stage: &Stage) -> Result<Snapshot> {
    Tool::look(Place::AsIs, stage.netns().inode(), &[])
}

/// They wait in the queue, and their clients have given up.
fn never_accepted() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.never_accepted(Family::Ipv4, COUNT)?;
    let look = look(&stage)?;
    let said = said(&look, stage.server.pid(), "server")?;
    said.is(COUNT, "never_accepted", "unknown")?.because(&[
        "never accepted on 10 of 10",
        "10 in the listener's queue, whose backlog is 2048",
    ])?;
    ensure!(said.group.unaccepted == COUNT, "{said:#?}");
    Ok(())
}

/// Requests come, and nobody reads them.
fn starved() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        send(&mut stage.client, &pair.client, REQUEST)?;
    }
    fin(&mut stage.client, &clients(&pairs))?;
    let look = look(&stage)?;
    said(&look, stage.server.pid(), "server")?
        .is(COUNT, "starved", "unknown")?
        .because(&["not one byte was read on 10 of 10"])?
        .leak_because(&["the oldest has been there for"])?;
    Ok(())
}

/// Some were accepted and some were not, though there is room for more descriptors.
fn held_up() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    fin(&mut stage.client, &clients(&pairs))?;
    stage.never_accepted(Family::Ipv4, COUNT)?;
    let look = look(&stage)?;
    let held_up = "10 not accepted, with room for more descriptors: whoever accepts is held up";
    said(&look, stage.server.pid(), "server")?
        .is(2 * COUNT, "starved", "unknown")?
        .because(&[held_up])?;
    Ok(())
}

/// Connections that were served, and whose end came some time later and was read at once.
fn answered(stage: &mut Stage, count: usize) -> Result<Vec<Pair>> {
    let pairs = stage.connect(Family::Ipv4, count)?;
    for pair in &pairs {
        exchange(&mut stage.client, &mut stage.server, pair)?;
    }
    // Longer than the ticks in which the kernel counts: the answer came before the FIN.
    sleep(Duration::from_millis(100) * slowness());
    for pair in &pairs {
        let fd = pair.server.fd;
        stage.server.begin(&Order::Drain { fd })?;
        fin(&mut stage.client, &[&pair.client])?;
        stage.server.finish()?;
    }
    Ok(pairs)
}

/// All was read and answered, then the end was read, too.
fn eof_ignored() -> Result<()> {
    let mut stage = Stage::new()?;
    answered(&mut stage, COUNT)?;
    let look = look(&stage)?;
    said(&look, stage.server.pid(), "server")?
        .is(COUNT, "eof_ignored", "unknown")?
        .because(&[
            "Recv-Q 0 on 10 of 10",
            "answered before the FIN came on 10 of 10",
            "in no epoll set on 10 of 10",
        ])?
        .leak_because(&["the oldest has been there for"])?;
    Ok(())
}

/// The request was read, and nobody has looked since.
fn end_not_read() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        ask(&mut stage.client, &mut stage.server, pair)?;
    }
    fin(&mut stage.client, &clients(&pairs))?;
    let look = look(&stage)?;
    said(&look, stage.server.pid(), "server")?
        .is(COUNT, "starved", "unknown")?
        .because(&["all but the end was read on 10 of 10: nobody looked since"])?;
    Ok(())
}

/// The client says that it sends no more and takes what comes, and the server goes on. Whoever saw the end come knows
/// what was sent after it; one look may not, and must not call it a leak.
fn sent_since() -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(Place::AsIs, stage.netns().inode(), &[])?;
    tool.fresh()?;
    for pair in answered(&mut stage, COUNT)? {
        // Longer than the ticks in which the kernel counts.
        sleep(Duration::from_millis(60));
        send(&mut stage.server, &pair.server, ANSWER)?;
        read(&mut stage.client, &pair.client, ANSWER)?;
    }
    let once = look(&stage)?;
    let once = said(&once, stage.server.pid(), "server")?;
    ensure!(once.diagnosis.leak == "unknown", "{once:#?}");
    let session = tool.fresh()?;
    let in_session = said(&session, stage.server.pid(), "server")?.first(COUNT, "sending")?;
    ensure!(in_session.diagnosis.leak != "yes", "{in_session:#?}");
    tool.end()?;
    Ok(())
}

/// The client reads nothing any more, and the server waits to be able to send.
fn shut_window() -> Result<()> {
    const FEW: usize = 3;
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, FEW)?;
    for pair in &pairs {
        ask(&mut stage.client, &mut stage.server, pair)?;
        let fd = pair.server.fd;
        let reply = stage.server.tell(&Order::Fill { fd })?;
        ensure!(!matches!(reply, Reply::Count(0)), "nothing was sent");
    }
    fin(&mut stage.client, &clients(&pairs))?;
    let start = Instant::now();
    loop {
        let look = look(&stage)?;
        let said = said(&look, stage.server.pid(), "server")?;
        said.is(FEW, "sending", "unknown")?
            .because(&["not all that was sent has been acknowledged on 3 of 3"])?;
        let probes = "the peer's window is shut on 3 of 3: the timer that probes it was doubled";
        match said.because(&[probes]) {
            Ok(_) => return Ok(()),
            Err(error) => ensure!(start.elapsed() < patience(), "{error:#}"),
        }
        sleep(Duration::from_millis(100));
    }
}

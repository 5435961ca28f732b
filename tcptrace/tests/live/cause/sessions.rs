//! What only a session can tell: who leaves, what is read and acknowledged from look to look.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use testbed::{
    Family, Order, Pair, Side, Stage,
    clock::{patience, slowness},
};

use super::{
    check::{Said, said},
    traffic::{ANSWER, REQUEST, ask, clients, fin, read, send, servers},
};
use crate::{
    harness::{
        case::Cases,
        place::Place,
        verdict::{judge, missing},
    },
    run::{snapshot::Snapshot, tool::Tool},
};

/// Exits farther apart than this did not happen together.
const APART: Duration = Duration::from_millis(60);

pub fn add(cases: &mut Cases) {
    cases.add("cause_churn", churn).here();
    cases.add("cause_slow_reader", slow_reader).here();
    cases.add("cause_still_sending", still_sending).here();
    cases
        .add("cause_garbage_collected", garbage_collected)
        .here();
}

/// Starts a session of a namespace, and waits for its first look. Between two looks is time for what is to happen there:
/// of what leaves during a look, it is not known when.
pub fn watch(netns: u64, interval: &str) -> Result<Tool> {
    let netns = netns.to_string();
    let words = ["stuck", "--json", "--older-than", "0s", "--netns", &netns];
    let words = words.into_iter().chain(["--interval", interval]);
    let mut tool = Tool::start(Place::AsIs, &words.collect::<Vec<_>>())?;
    tool.fresh()?;
    Ok(tool)
}

fn watch_server(stage: &Stage) -> Result<Tool> {
    watch(stage.netns().inode(), "1s")
}

fn of_server<'a>(stage: &Stage, look: &'a Snapshot) -> Result<Said<'a>> {
    said(look, stage.server.pid(), "server")
}

/// Connections whose clients have given up, and of which nothing was read.
fn unread(stage: &mut Stage, count: usize) -> Result<Vec<Pair>> {
    let pairs = stage.connect(Family::Ipv4, count)?;
    for pair in &pairs {
        send(&mut stage.client, &pair.client, REQUEST)?;
    }
    fin(&mut stage.client, &clients(&pairs))?;
    Ok(pairs)
}

/// They come and go, one after another.
fn churn() -> Result<()> {
    const COUNT: usize = 4;
    let mut stage = Stage::new()?;
    let mut tool = watch_server(&stage)?;
    let mut old = unread(&mut stage, COUNT)?;
    of_server(&stage, &tool.fresh()?)?.is(COUNT, "starved", "unknown")?;
    for _ in 0..2 {
        let new = unread(&mut stage, COUNT)?;
        tool.fresh()?;
        for socket in servers(&old) {
            let fds = vec![socket.fd];
            stage.server.time(&Order::Close { fds })?;
            sleep(APART);
        }
        old = new;
    }
    let look = tool.fresh()?;
    let skipped = look.tracing.recursion_misses.unwrap_or(0);
    let said = of_server(&stage, &look)?;
    let checked = said.is(COUNT, "churn", "no").and_then(|said| {
        said.because(&[
            "none is left of the 4 of the first look",
            "8 left with their descriptor closed",
        ])
    });
    // When they left is only known of those whose exit the kernel side saw.
    judge(
        skipped,
        checked
            .map(drop)
            .or_else(|error| missing(1, || format!("{error:#}"))),
    )?;
    tool.end()?;
    Ok(())
}

/// Somebody reads, slowly.
fn slow_reader() -> Result<()> {
    const COUNT: usize = 5;
    let mut stage = Stage::new()?;
    let mut tool = watch_server(&stage)?;
    let pairs = unread(&mut stage, COUNT)?;
    of_server(&stage, &tool.fresh()?)?.is(COUNT, "starved", "unknown")?;
    for socket in servers(&pairs) {
        read(&mut stage.server, socket, REQUEST / 2)?;
    }
    of_server(&stage, &tool.fresh()?)?
        .is(COUNT, "churn", "no")?
        .because(&["bytes were read since the first look on 5 of 5"])?;
    tool.end()?;
    Ok(())
}

/// The clients have said that they send no more, and take what comes; the server goes on.
fn still_sending() -> Result<()> {
    const COUNT: usize = 5;
    let mut stage = Stage::new()?;
    let mut tool = watch_server(&stage)?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        ask(&mut stage.client, &mut stage.server, pair)?;
    }
    fin(&mut stage.client, &clients(&pairs))?;
    for socket in servers(&pairs) {
        let fd = socket.fd;
        stage.server.tell(&Order::Drain { fd })?;
    }
    let first = tool.fresh()?;
    let once = of_server(&stage, &first)?;
    ensure!(once.diagnosis.leak == "unknown", "{once:#?}");
    let start = Instant::now();
    loop {
        for pair in &pairs {
            send(&mut stage.server, &pair.server, ANSWER)?;
            read(&mut stage.client, &pair.client, ANSWER)?;
        }
        let look = tool.fresh()?;
        let said = of_server(&stage, &look)?;
        let acked = "the peer has acknowledged more since the first look on 5 of 5";
        let right = said.is(COUNT, "sending", "no");
        match right.and_then(|said| said.because(&[acked])) {
            Ok(_) => break,
            // An acknowledgment may be late.
            Err(error) => ensure!(start.elapsed() < patience(), "{error:#}"),
        }
    }
    tool.end()?;
    Ok(())
}

/// Several that had not come together are closed at the same moment, as when memory is collected.
fn garbage_collected() -> Result<()> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        if collected()? {
            return Ok(());
        }
    }
    anyhow::bail!("this machine never closed them within 15 ms")
}

/// `false` if they were not closed at the same moment, because the machine was busy.
fn collected() -> Result<bool> {
    const COUNT: usize = 6;
    const STAYS: usize = 2;
    let mut stage = Stage::new()?;
    let mut tool = watch_server(&stage)?;
    let mut pairs = Vec::new();
    for _ in 0..COUNT + STAYS {
        let mut new = stage.connect(Family::Ipv4, 1)?;
        ask(&mut stage.client, &mut stage.server, &new[0])?;
        send(&mut stage.server, &new[0].server, ANSWER)?;
        stage.leak(&new, Side::Server)?;
        pairs.append(&mut new);
        sleep(Duration::from_millis(50) * slowness());
    }
    of_server(&stage, &tool.fresh()?)?.first(COUNT + STAYS, "starved")?;
    let fds = pairs[..COUNT].iter().map(|pair| pair.server.fd).collect();
    let start = Instant::now();
    stage.server.time(&Order::Close { fds })?;
    if start.elapsed() > Duration::from_millis(15) {
        return Ok(false);
    }
    let look = tool.fresh()?;
    let skipped = look.tracing.recursion_misses.unwrap_or(0);
    let said = of_server(&stage, &look).context("those that stay")?;
    let checked = said
        .is(STAYS, "garbage_collected", "unknown")
        .and_then(|said| {
            said.because(&[
                "6 of the 6 that left went together with others of another age, at 1 moment",
            ])
        });
    judge(
        skipped,
        checked
            .map(drop)
            .or_else(|error| missing(1, || format!("{error:#}"))),
    )?;
    tool.end()?;
    Ok(true)
}

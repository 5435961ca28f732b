//! Tests the testbed alone: other witnesses than the tool must confirm its truth.

use std::fs::read_link;

use anyhow::{Context, Result, ensure};
use testbed::{
    Family, Netns, Order, Pair, Side, Stage, Truth,
    clock::{monotonic_ns, patience},
    state::{CLOSE, CLOSE_WAIT, FIN_WAIT2},
};

use crate::{
    harness::{case::Cases, tolerance::exact_ns},
    stuck::holders,
};

pub fn add(cases: &mut Cases) {
    cases.add("workload_truth::holders_and_inodes", holders_and_inodes);
    cases.add("workload_truth::brackets", brackets);
    cases.add("workload_truth::never_accepted", never_accepted);
    cases.add("workload_truth::keepalive_kills", keepalive_kills);
    cases.add("workload_truth::nothing_remains", nothing_remains);
    cases.add("workload_truth::churn", churn);
}

/// Checks in /proc that every holder of a truth has the inode open under that descriptor.
fn proc_agrees(truth: &Truth) -> Result<()> {
    for (pid, fd) in &truth.holders {
        let link =
            read_link(format!("/proc/{pid}/fd/{fd}")).with_context(|| format!("{truth:?}"))?;
        ensure!(
            link.as_os_str() == format!("socket:[{}]", truth.inode).as_str(),
            "{link:?}: {truth:?}"
        );
    }
    Ok(())
}

fn holders_and_inodes() -> Result<()> {
    let mut stage = Stage::new()?;
    for family in Family::ALL {
        let truths = [stage.server_leak(family, 2)?, stage.client_leak(family, 2)?].concat();
        truths.iter().try_for_each(proc_agrees)?;
        ensure!(
            truths
                .iter()
                .all(|truth| truth.local.ip() == family.loopback()),
            "{truths:#?}"
        );
        let passed = holders::passed(&mut stage, family, 1)?;
        let inherited = holders::child_and_parent(&mut stage, family, 1)?;
        passed.iter().chain(&inherited).try_for_each(proc_agrees)?;
    }
    Ok(())
}

fn brackets() -> Result<()> {
    let mut stage = Stage::new()?;
    let start = monotonic_ns();
    let truths = stage.server_leak(Family::Ipv4, 100)?;
    let end = monotonic_ns();
    let mut widths: Vec<_> = truths
        .iter()
        .map(|truth| truth.after_ns - truth.before_ns)
        .collect();
    ensure!(
        truths
            .iter()
            .all(|t| start < t.before_ns && t.before_ns < t.after_ns && t.after_ns < end),
        "disorder"
    );
    widths.sort_unstable();
    let (median, widest) = (widths[50], widths[99]);
    ensure!(
        median < exact_ns(),
        "too wide to distinguish right from wrong: median {} us, widest {} us",
        median / 1000,
        widest / 1000
    );
    Ok(())
}

fn never_accepted() -> Result<()> {
    let mut stage = Stage::new()?;
    let truths = stage.never_accepted(Family::Ipv6, 3)?;
    // After a late accept, they are indeed in CLOSE_WAIT.
    for socket in stage.accept(Family::Ipv6, 3)? {
        let now = stage.server.time(&Order::Await {
            fd: socket.fd,
            state: CLOSE_WAIT,
        })?;
        let truth = truths
            .iter()
            .find(|truth| Some(truth.remote) == socket.remote)
            .context("a stranger")?;
        ensure!(
            truth.local == socket.local && truth.after_ns <= now,
            "{socket:?} {truth:?}"
        );
    }
    Ok(())
}

/// Makes keepalive end the server's end of a connection, and returns when the kernel has done so.
pub fn die_of_keepalive(stage: &mut Stage, pair: &Pair) -> Result<()> {
    let fd = pair.server.fd;
    stage.server.tell(&Order::Keepalive {
        fd,
        idle: 1,
        interval: 1,
        count: 1,
    })?;
    // Its FIN must have been acknowledged (which may be delayed). Otherwise it is sent again and counts as activity.
    stage.client.time(&Order::Await {
        fd: pair.client.fd,
        state: FIN_WAIT2,
    })?;
    stage.client.tell(&Order::Deafen { fd: pair.client.fd })?;
    stage.server.time(&Order::Await { fd, state: CLOSE })?;
    Ok(())
}

fn keepalive_kills() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Mapped, 2)?;
    stage.leak(&pairs, Side::Server)?;
    die_of_keepalive(&mut stage, &pairs[0])?;
    // The other connection is still there: only that one was cut off.
    stage.server.time(&Order::Await {
        fd: pairs[1].server.fd,
        state: CLOSE_WAIT,
    })?;
    Ok(())
}

/// Many connections one after another, as benchmarks need them. None is left over.
fn churn() -> Result<()> {
    const COUNT: usize = 500;
    let mut stage = Stage::new()?;
    stage.netns().set("ipv4/tcp_max_tw_buckets", "0")?;
    let listener = stage.listener(Family::Ipv4).clone();
    let fd = listener.fd;
    stage
        .server
        .begin(&Order::ChurnServe { fd, count: COUNT })?;
    let address = listener.local;
    let count = COUNT;
    let took = stage.client.time(&Order::Churn { address, count })?;
    stage.server.finish()?;
    println!("{} us a connection", took / 1000 / COUNT as u64);
    let start = std::time::Instant::now();
    loop {
        let table = || std::fs::read_to_string("/proc/thread-self/net/tcp");
        let left = stage.netns().run(table)??;
        // A heading and the one IPv4 listener.
        if left.lines().count() == 2 {
            return Ok(());
        }
        ensure!(start.elapsed() < patience(), "left over:\n{left}");
    }
}

/// Actors, their children and the namespace end with the stage.
fn nothing_remains() -> Result<()> {
    let mut stage = Stage::new()?;
    let truths = stage.server_leak(Family::Ipv4, 1)?;
    let fd = truths[0].holders.first().context("no holder")?.1;
    let child = stage.server.fork(&[fd])?;
    let pids = [child, stage.server.pid(), stage.client.pid()];
    drop(stage);
    let start = std::time::Instant::now();
    // The child ends when it notices that its parent has ended. Then another process must reap it.
    while pids.iter().any(|pid| !is_gone(*pid)) {
        ensure!(
            start.elapsed() < patience(),
            "one of {pids:?} is still there"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // An unused namespace disappears without an error, too.
    drop(Netns::new()?);
    Ok(())
}

fn is_gone(pid: u32) -> bool {
    // An orphan may stay a zombie if PID 1 is a simple init that does not reap. It holds nothing any more.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

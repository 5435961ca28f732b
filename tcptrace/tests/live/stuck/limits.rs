//! More sockets than the kernel side has room for.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testbed::{Family, Stage, clock::slowness};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::ABOVE_NS,
    },
    run::{snapshot::Holder, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "more_than_max_sockets", more_than_max_sockets);
    cases
        .add("holders_of_what_enters_during_a_look", enters_during_a_look)
        .here();
}

/// If there is no room for them, every look lists all sockets. A socket that enters the state while the tool walks
/// the descriptors still has its holder: it never seems to have none.
fn enters_during_a_look() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let words = format!(
        "stuck --json --older-than 0s --interval 10ms --max-sockets 4 --hook btf --netns {netns}"
    );
    let words: Vec<_> = words.split(' ').collect();
    let mut tool = Tool::start(Place::Btf, &words)?;
    tool.fresh()?;
    let server = stage.server.pid();
    let mut truths = Vec::new();
    let start = Instant::now();
    while start.elapsed() < LONG_ENOUGH {
        truths.extend(stage.server_leak(Family::Ipv4, BATCH)?);
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut looks = Vec::new();
    tool.until("all of them", |snapshot| {
        looks.push(snapshot.clone());
        snapshot.sockets.len() == truths.len()
    })?;
    let during = looks.iter().filter(|look| {
        let (first, last) = (&truths[0], &truths[truths.len() - 1]);
        (first.before_ns..last.after_ns).contains(&look.monotonic_ns)
    });
    ensure!(during.count() > 1, "no look while they entered");
    for socket in looks.iter().flat_map(|look| &look.sockets) {
        let held = socket.holders.iter().flatten().map(|holder| holder.pid);
        ensure!(held.eq([server]), "not held by {server}: {socket:#?}");
    }
    tool.end()?;
    Ok(())
}

/// Sockets enter every few ms for this long, so that in several looks some enter between the two parts of the look.
const LONG_ENOUGH: Duration = Duration::from_millis(1500);
const BATCH: usize = 10;

/// The loss is counted, but every socket is reported: the kernel's own tables have all of them.
fn more_than_max_sockets(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &["--max-sockets", "4"])?;
    tool.fresh()?;
    let truths = stage.server_leak(Family::Ipv4, 50)?;
    let snapshot = tool.until("all fifty", |snapshot| snapshot.sockets.len() == 50)?;
    ensure!(
        snapshot.tracing.lost > 0,
        "the report says that nothing is lost"
    );
    // All that entered count, and none of them has left.
    let skipped = snapshot.tracing.recursion_misses.unwrap_or(0);
    ensure!(
        (50 - skipped..=50).contains(&snapshot.tracing.transitions),
        "{:?}",
        snapshot.tracing
    );
    for truth in &truths {
        let Some(found) = snapshot
            .sockets
            .iter()
            .find(|socket| socket.cookie == truth.cookie)
        else {
            anyhow::bail!("not seen: {truth:?}");
        };
        let holders = found
            .holders
            .iter()
            .flatten()
            .filter_map(Holder::descriptor)
            .collect();
        ensure!(truth.holders == holders, "wrong holders: {found:#?}");
        // Exact or not, no age is above the truth. The socket may have entered during the look.
        let true_age_ns = snapshot.monotonic_ns.saturating_sub(truth.before_ns);
        let emulated_ns = ABOVE_NS * (u64::from(slowness()) - 1);
        ensure!(
            found.age_ns <= true_age_ns + 1_000_000 + emulated_ns,
            "too old: {found:#?}, {truth:?}"
        );
    }
    let exact = snapshot
        .sockets
        .iter()
        .filter(|socket| socket.age == "exact")
        .count();
    ensure!(exact <= 4, "{exact} exact ages, but room for 4");
    tool.end()?;
    Ok(())
}

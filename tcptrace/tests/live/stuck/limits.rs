//! More sockets than the kernel side has room for.

use anyhow::{Result, ensure};
use testbed::{Family, Stage, clock::slowness};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::ABOVE_NS,
    },
    run::tool::Tool,
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "more_than_max_sockets", more_than_max_sockets);
}

/// The loss is counted, and still every socket is reported: the kernel's own tables know them all.
fn more_than_max_sockets(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &["--max-sockets", "4"])?;
    tool.fresh()?;
    let truths = stage.server_leak(Family::Ipv4, 50)?;
    let snapshot = tool.until("all fifty", |snapshot| snapshot.sockets.len() == 50)?;
    ensure!(snapshot.tracing.lost > 0, "nothing is said to be lost");
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
            .map(|holder| (holder.pid, holder.fd))
            .collect();
        ensure!(truth.holders == holders, "wrong holders: {found:#?}");
        // Exact or not, it is never said to be older than it is. It may have entered during the look.
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
    ensure!(exact <= 4, "{exact} exact ages from room for 4");
    tool.end()?;
    Ok(())
}

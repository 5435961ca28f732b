//! Sockets that their owner leaves in CLOSE_WAIT, before the tool starts and while it watches.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::{Family, Stage, Truth};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::let_them_age,
    },
    run::tool::Tool,
    stuck::{
        check::{self, Age},
        holders,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add_in(
        &[Place::Btf, Place::Tracepoint, Place::NoBtf],
        "server_leak",
        |place| seen(place, Stage::server_leak),
    );
    cases.add_in(BOTH, "client_leak", |place| seen(place, Stage::client_leak));
    cases.add_in(
        &[Place::Btf, Place::Tracepoint, Place::NoBtf],
        "never_accepted",
        never_accepted,
    );
    cases.add_in(BOTH, "held_by_child_only", |place| {
        seen(place, holders::child_only)
    });
    cases.add_in(
        &[Place::Btf, Place::Tracepoint, Place::NoBtf],
        "held_by_parent_and_child",
        |place| seen(place, holders::child_and_parent),
    );
    cases.add_in(BOTH, "passed_over_unix_socket", |place| {
        seen(place, holders::passed)
    });
    cases.add_in(BOTH, "held_in_flight_only", |place| {
        seen(place, holders::in_flight)
    });
    cases.add_in(BOTH, "held_twice", |place| seen(place, holders::twice));
    cases.add_in(BOTH, "a_thousand_at_once", a_thousand);
    cases.add_in(BOTH, "once", once);
}

/// A way to leave this many sockets of a family behind.
type Leak = fn(&mut Stage, Family, usize) -> Result<Vec<Truth>>;

fn of_all_families(stage: &mut Stage, leak: Leak) -> Result<Vec<Truth>> {
    let mut all = Vec::new();
    for family in Family::ALL {
        all.extend(leak(stage, family, 2)?);
    }
    Ok(all)
}

/// Sockets that are stuck for long enough to reveal a wrong age.
fn stuck_for_a_while(stage: &mut Stage, leak: Leak) -> Result<Vec<Truth>> {
    let truths = of_all_families(stage, leak)?;
    let_them_age();
    Ok(truths)
}

fn seen(place: Place, leak: Leak) -> Result<()> {
    let mut stage = Stage::new()?;
    let before = stuck_for_a_while(&mut stage, leak)?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    let snapshot = tool.fresh()?;
    ensure!(
        snapshot.tracing.hook.as_deref() == Some(place.hook()),
        "the hook is {:?}",
        snapshot.tracing.hook
    );
    ensure!(
        snapshot.watched.state == "CLOSE_WAIT" && snapshot.watched.older_than_ns == 0,
        "{:?}",
        snapshot.watched
    );
    check::exactly(&snapshot, &[(&before, Age::AtLeast)])?;
    let after = of_all_families(&mut stage, leak)?;
    let both = [(&before[..], Age::AtLeast), (&after[..], Age::Exact)];
    check::exactly(&tool.fresh()?, &both)?;
    // Once more, now that the tool has seen all of them before.
    let snapshot = tool.fresh()?;
    let closely = [(&before[..], Age::AtLeastClosely), (&after[..], Age::Exact)];
    check::exactly(&snapshot, &closely)?;
    ensure!(snapshot.tracing.lost == 0, "{} lost", snapshot.tracing.lost);
    ensure!(
        snapshot
            .sockets
            .iter()
            .all(|socket| socket.netns == Some(stage.netns().inode())),
        "wrong namespace"
    );
    tool.end()?;
    Ok(())
}

/// Only the process that accepts a socket can read its cookie. Here it does so after the tool has shown the cookie.
fn never_accepted(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut before = stuck_for_a_while(&mut stage, Stage::never_accepted)?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    check::exactly(&tool.fresh()?, &[(&before, Age::AtLeast)])?;
    let mut after = of_all_families(&mut stage, Stage::never_accepted)?;
    check::exactly(
        &tool.fresh()?,
        &[(&before, Age::AtLeast), (&after, Age::Exact)],
    )?;
    for family in Family::ALL {
        for socket in stage.accept(family, 4)? {
            let of_all = before.iter_mut().chain(&mut after);
            let mut of_all = of_all.filter(|truth| truth.local == socket.local);
            let truth = of_all
                .find(|truth| Some(truth.remote) == socket.remote)
                .context("unknown socket")?;
            truth.cookie = Some(socket.cookie);
            truth.inode = socket.inode;
            truth.accepted = true;
            truth.holders = [(stage.server.pid(), socket.fd)].into();
        }
    }
    // After the late accept they are as old as before and have a holder.
    check::exactly(
        &tool.fresh()?,
        &[(&before, Age::AtLeast), (&after, Age::Exact)],
    )?;
    tool.end()?;
    Ok(())
}

fn a_thousand(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let before = stage.server_leak(Family::Ipv4, 400)?;
    let_them_age();
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let mut after = stage.client_leak(Family::Ipv6, 400)?;
    after.extend(stage.never_accepted(Family::Mapped, 200)?);
    let snapshot = tool.fresh()?;
    check::exactly(&snapshot, &[(&before, Age::AtLeast), (&after, Age::Exact)])?;
    ensure!(
        snapshot.sockets.len() == 1000 && snapshot.tracing.lost == 0,
        "{:?}",
        snapshot.tracing
    );
    tool.end()?;
    Ok(())
}

/// Each of several single looks is true, and the best of them is close.
fn once(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    ensure!(
        Tool::look(place, netns, &[])?.sockets.is_empty(),
        "invented"
    );
    let truths = stuck_for_a_while(&mut stage, Stage::client_leak)?;
    // Longer than an age may be too low: otherwise 0 would pass.
    std::thread::sleep(Duration::from_nanos(check::closely_ns()));
    let mut closely = Vec::new();
    for _ in 0..3 {
        let snapshot = Tool::look(place, netns, &[])?;
        check::exactly(&snapshot, &[(&truths, Age::AtLeast)])?;
        closely.push(check::exactly(&snapshot, &[(&truths, Age::AtLeastClosely)]));
    }
    let best = closely.into_iter().reduce(Result::or);
    best.context("no look")?
}

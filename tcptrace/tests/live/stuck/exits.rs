//! What the kernel side reports of sockets that leave the state, to the look that comes next.

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use tcptrace::{
    model::{request::HookChoice, stuck::look::Exit},
    source::watch::{WatchOptions, kernel_side::KernelSide},
};
use tcptrace_common::{KernelFilter, TcpState, WatchedExit};
use testbed::{Family, Order, Side, Span, Stage, Truth, clock::monotonic_ns};

use crate::harness::{
    case::Cases,
    place::{BOTH, Place},
    tolerance::within,
    verdict::{judge, missing},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "stuck_exits_have_their_times", exits_have_their_times);
    cases.add_in(
        BOTH,
        "stuck_exits_without_room_are_counted",
        exits_without_room,
    );
}

fn attach(place: Place, stage: &Stage) -> Result<KernelSide> {
    let hook = match place {
        Place::Tracepoint | Place::NoBtf => HookChoice::Tracepoint,
        Place::Btf | Place::AsIs => HookChoice::Btf,
    };
    let filter = KernelFilter {
        netns: u32::try_from(stage.netns().inode())?,
        ..KernelFilter::default()
    };
    Ok(KernelSide::attach(&WatchOptions {
        state: TcpState::CloseWait,
        hook,
        filter,
        filters_all: true,
        max_sockets: None,
        messages: false,
    })?)
}

fn skipped(side: &KernelSide) -> Result<u64> {
    Ok(side.tracing()?.recursion_misses.unwrap_or(0))
}

/// Closes an end that is in CLOSE_WAIT; answers when it left that state.
fn close(stage: &mut Stage, fd: i32) -> Result<Span> {
    let before_ns = stage.server.time(&Order::Close { fds: vec![fd] })?;
    Ok(Span {
        before_ns,
        after_ns: monotonic_ns(),
    })
}

fn exit_right(exits: &[Exit], truth: &Truth, left: Span) -> Result<()> {
    let ends = |exit: &Exit| (exit.local.port, exit.remote.port);
    let wanted = (truth.local.port(), truth.remote.port());
    let found = exits.iter().filter(|exit| ends(exit) == wanted);
    let found: Vec<_> = found.collect();
    missing(u64::from(found.is_empty()), || {
        format!("an exit of {truth:?}")
    })?;
    ensure!(found.len() == 1, "more than once: {found:#?}");
    let exit = found[0];
    ensure!(
        exit.cookie.is_none() || exit.cookie == truth.cookie,
        "wrong cookie"
    );
    ensure!(exit.local.address == truth.local.ip(), "wrong address");
    within(exit.since_ns, truth.entered()).context("entered")?;
    within(exit.left_ns, left).context("left")
}

/// A look gets those that left before it; the next one the others, and none twice. What was in the state for a moment
/// only is not among them.
fn exits_have_their_times(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut side = attach(place, &stage)?;
    let pairs = stage.connect(Family::Ipv4, 3)?;
    let truths = stage.leak(&pairs[..2], Side::Server)?;
    sleep(Duration::from_millis(150));
    let moment = stage.leak(&pairs[2..], Side::Server)?.remove(0);
    let of_moment = close(&mut stage, pairs[2].server.fd)?;
    let first = close(&mut stage, pairs[0].server.fd)?;
    let look_ns = monotonic_ns();
    let second = close(&mut stage, pairs[1].server.fd)?;
    let (early, late) = (side.exits(look_ns), side.exits(monotonic_ns()));
    ensure!(side.exits(u64::MAX).is_empty(), "told twice");
    // A machine can be too slow to leave it in the state for a moment only. It left before the look then.
    let stayed_ns = of_moment.after_ns - moment.before_ns;
    let slow = usize::from(stayed_ns >= WatchedExit::AT_LEAST_NS);
    ensure!(
        early.len() <= 1 + slow,
        "not before the look, where one stayed for {stayed_ns} ns: {early:#?}"
    );
    ensure!(late.len() <= 1, "too many: {late:#?}");
    let checked =
        exit_right(&early, &truths[0], first).and_then(|()| exit_right(&late, &truths[1], second));
    judge(skipped(&side)?, checked)?;
    ensure!(side.unreported_exits()? == 0, "there was room");
    Ok(())
}

/// More leave than there is room for: each one is told or counted.
fn exits_without_room(place: Place) -> Result<()> {
    const SOCKETS: usize = 4000;
    let mut stage = Stage::new()?;
    let mut side = attach(place, &stage)?;
    let mut fds = Vec::new();
    for _ in 0..SOCKETS / 1000 {
        let pairs = stage.connect(Family::Ipv4, 1000)?;
        let clients = pairs.iter().map(|pair| pair.client.fd).collect();
        stage.client.tell(&Order::ShutdownAll { fds: clients })?;
        fds.extend(pairs.iter().map(|pair| pair.server.fd));
    }
    sleep(Duration::from_millis(150));
    stage.server.tell(&Order::Close { fds })?;
    let exits = side.exits(u64::MAX).len() as u64;
    let unreported = side.unreported_exits()?;
    ensure!(unreported > 0, "all {exits} had room");
    let lost = (SOCKETS as u64).saturating_sub(exits + unreported);
    judge(skipped(&side)?, missing(lost, || "exits".to_owned()))?;
    ensure!(
        exits + unreported <= SOCKETS as u64,
        "{exits} + {unreported}"
    );
    Ok(())
}

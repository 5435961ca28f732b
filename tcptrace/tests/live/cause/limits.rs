//! A process that can open no more descriptors.

use std::{collections::BTreeSet, fs, thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use testbed::{Actor, Family, Order};

use super::{check::said, stories::Story};
use crate::{harness::case::Cases, run::snapshot::Descriptors};

const ACCEPTED: usize = 20;
const WAITING: usize = 3;
/// So long a process that is full must have had its sockets until it is sure that it is a leak.
const FULL: Duration = Duration::from_secs(15);

pub fn add(cases: &mut Cases) {
    cases.add("cause_full_server", full_server);
    cases.add("cause_full_pool", full_pool).here();
}

/// Lets it have so many more. The limit is one of their numbers, so it has as many as are below it, and those above that
/// it was started with.
fn leave(actor: &mut Actor, more: usize) -> Result<Descriptors> {
    let numbers = fs::read_dir(format!("/proc/{}/fd", actor.pid()))?;
    let numbers = numbers.map(|entry| Ok(entry?.file_name().to_string_lossy().parse()?));
    let open = numbers.collect::<Result<BTreeSet<u64>>>()?;
    let free = (0..).filter(|number| !open.contains(number)).nth(more);
    let limit = free.context("no number is free")?;
    actor.tell(&Order::LimitDescriptors { limit })?;
    let above = open.range(limit..).count();
    let open = limit + u64::try_from(above)?;
    Ok(Descriptors { open, limit })
}

/// It has accepted as many as it could; the rest waits.
fn full_server() -> Result<()> {
    let mut story = Story::new()?;
    let full = leave(&mut story.stage.server, ACCEPTED)?;
    story.starve(ACCEPTED)?;
    story.stage.never_accepted(Family::Ipv4, WAITING)?;
    let fd = story.stage.listener(Family::Ipv4).fd;
    let refused = story.stage.server.tell(&Order::AcceptWaiting { fd });
    ensure!(refused.is_err(), "it could accept: {refused:?}");
    let look = story.look()?;
    let said = said(&look, story.stage.server.pid(), "server")?;
    said.is(ACCEPTED + WAITING, "starved", "unknown")?
        .because(&[
            "not one byte was read on 20 of 20",
            "3 never accepted: the process can open no more descriptors (EMFILE)",
        ])?;
    ensure!(
        said.group.descriptors == Some(full),
        "not {full:?}: {said:#?}"
    );
    Ok(())
}

/// Leased connections have used up all of them, so that nothing is accepted: at first that may be a moment's peak,
/// after a while it is a leak.
fn full_pool() -> Result<()> {
    let mut story = Story::new()?;
    let full = leave(&mut story.stage.server, ACCEPTED)?;
    story.lease(ACCEPTED)?;
    // One look knows when they began within the ticks in which the kernel counts.
    sleep(Duration::from_millis(200));
    story.stage.never_accepted(Family::Ipv4, WAITING)?;
    for leak in ["unknown", "yes"] {
        let look = story.look()?;
        let (cause, consequence) = story.said(&look)?;
        cause.is(ACCEPTED, "leased", leak)?;
        ensure!(
            cause.group.descriptors == Some(full),
            "not {full:?}: {cause:#?}"
        );
        consequence.is(WAITING, "never_accepted", leak)?.because(&[
            "later than",
            "never accepted on 3 of 3",
            "3 never accepted: the process can open no more descriptors (EMFILE)",
        ])?;
        let from = consequence.diagnosis.follows_from.context("from nothing")?;
        ensure!(from.remote.is_some() && from.local.is_none(), "{from:?}");
        let first = &look.groups[0];
        ensure!(first.role == "client", "the cause comes first: {first:#?}");
        if leak == "unknown" {
            sleep(FULL + Duration::from_millis(500));
        }
    }
    Ok(())
}

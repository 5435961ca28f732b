//! Causes that lie in the process: it got the sockets from another one, or it does not run.

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use testbed::{Family, Order, Stage, clock::slowness};

use super::{
    check::said,
    traffic::{REQUEST, clients, fin, send},
};
use crate::{
    harness::{
        case::Cases,
        cgroup::{Cgroup, Freezer},
        place::Place,
        verdict::Ignored,
    },
    run::{snapshot::Snapshot, tool::Tool},
    stuck::process_states::until_state,
};

const COUNT: usize = 6;

pub fn add(cases: &mut Cases) {
    cases.add("cause_inherited", inherited);
    cases.add("cause_stopped", stopped).here();
    cases
        .add("cause_frozen", || frozen(Freezer::Unified))
        .here();
    cases
        .add("cause_frozen_by_v1", || frozen(Freezer::Old))
        .here();
}

fn look(stage: &Stage) -> Result<Snapshot> {
    Tool::look(Place::AsIs, stage.netns().inode(), &[])
}

/// A child has them that began after they were used: first with its parent, then alone. Nobody can serve them then, so
/// it is not necessary to wait.
fn inherited() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        send(&mut stage.client, &pair.client, REQUEST)?;
    }
    // Longer than the steps in which the kernel tells when a process began, and when data came.
    sleep(Duration::from_millis(150) * slowness());
    let fds: Vec<_> = pairs.iter().map(|pair| pair.server.fd).collect();
    let child = stage.server.fork(&fds)?;
    fin(&mut stage.client, &clients(&pairs))?;
    let by_two = look(&stage)?;
    said(&by_two, stage.server.pid(), "server")?
        .is(COUNT, "inherited", "unknown")?
        .because(&["more than one process has them open on 6 of 6"])?;
    stage.server.tell(&Order::Close { fds })?;
    let alone = look(&stage)?;
    said(&alone, child, "server")?
        .is(COUNT, "inherited", "yes")?
        .because(&[
            "the process that has them began after their last data on 6 of 6",
            "open also in a program that is executed (no O_CLOEXEC) on 6 of 6",
            "the listener of their port is open in process ",
        ])?;
    Ok(())
}

/// What would be starved otherwise.
fn unread() -> Result<Stage> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    for pair in &pairs {
        send(&mut stage.client, &pair.client, REQUEST)?;
    }
    fin(&mut stage.client, &clients(&pairs))?;
    Ok(stage)
}

fn stopped() -> Result<()> {
    let stage = unread()?;
    let pid = stage.server.pid();
    let process = Pid::from_raw(pid.try_into()?).context("no PID")?;
    kill_process(process, Signal::STOP)?;
    until_state(pid, 'T')?;
    said(&look(&stage)?, pid, "server")?
        .is(COUNT, "stopped", "unknown")?
        .because(&["the process is stopped by a signal"])?;
    kill_process(process, Signal::CONT)?;
    until_state(pid, 'S')?;
    said(&look(&stage)?, pid, "server")?.is(COUNT, "starved", "unknown")?;
    Ok(())
}

fn frozen(by: Freezer) -> Result<()> {
    let group = Cgroup::of(by, "cause").map_err(Ignored::because)?;
    let stage = unread()?;
    let pid = stage.server.pid();
    group.take(pid)?;
    let frozen = group.freeze().map_err(Ignored::because)?;
    said(&look(&stage)?, pid, "server")?
        .is(COUNT, "stopped", "unknown")?
        .because(&["its control group is frozen"])?;
    drop(frozen);
    said(&look(&stage)?, pid, "server")?.is(COUNT, "starved", "unknown")?;
    Ok(())
}

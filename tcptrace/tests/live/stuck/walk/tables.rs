//! Tables of descriptors that are not simply those of one process.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use testbed::{Family, Order, Reply, Stage, Truth};

use crate::{
    harness::case::Cases,
    run::snapshot::{Holder, Snapshot},
    stuck::walk::ways::look_in_all,
};

pub fn add(cases: &mut Cases) {
    cases.add("table_of_a_thread", of_a_thread);
    cases.add("table_of_a_dead_main_thread", of_a_dead_main_thread);
    cases.add("table_of_two_processes", of_two_processes);
}

/// A process, the thread if it has a table of its own, and the descriptor.
type Place = (u32, Option<u32>, i32);

/// Every way to look shows these sockets with these holders, each once.
fn held_by(stage: &Stage, truths: &[Truth], holders: impl Fn(&Truth) -> Vec<Place>) -> Result<()> {
    for (way, look) in look_in_all(stage.netns().inode())? {
        for truth in truths {
            let expected = holders(truth).into_iter().collect();
            shown(&look, truth, &expected).with_context(|| format!("way {way}, {truth:?}"))?;
        }
    }
    Ok(())
}

fn shown(look: &Snapshot, truth: &Truth, expected: &BTreeSet<Place>) -> Result<()> {
    let mut sockets = look.sockets.iter();
    let socket = sockets.find(|socket| socket.inode == Some(truth.inode));
    let socket = socket.context("not seen")?;
    let holders = socket.holders.as_deref().context("holders are not known")?;
    let place = |holder: &Holder| {
        let (pid, fd) = holder.descriptor()?;
        Some((pid, holder.tid, fd))
    };
    let found: BTreeSet<_> = holders.iter().filter_map(place).collect();
    ensure!(
        found == *expected && holders.len() == expected.len(),
        "not {expected:?}: {holders:#?}"
    );
    Ok(())
}

fn descriptor(truth: &Truth) -> Result<i32> {
    let (_, fd) = truth.holders.first().context("no holder")?;
    Ok(*fd)
}

/// What a thread alone has open is not in the table of its process.
fn of_a_thread() -> Result<()> {
    let mut stage = Stage::new()?;
    let of_thread = stage.server_leak(Family::Ipv4, 2)?;
    let fds = of_thread.iter().map(descriptor).collect::<Result<_>>()?;
    let Reply::Thread(tid, _) = stage.server.tell(&Order::OwnTable { fds })? else {
        bail!("no thread in the answer");
    };
    // A later one is in the process's table only.
    let of_process = stage.server_leak(Family::Ipv6, 1)?;
    let pid = stage.server.pid();
    let place = |truth: &Truth, tid| {
        truth
            .holders
            .iter()
            .map(|(_, fd)| (pid, tid, *fd))
            .collect()
    };
    held_by(&stage, &of_thread, |truth| place(truth, Some(tid)))?;
    held_by(&stage, &of_process, |truth| place(truth, None))
}

/// The main thread stays as a zombie, which has no table any more; the other threads still share it. They may be told
/// by the number of one of them.
fn of_a_dead_main_thread() -> Result<()> {
    let mut stage = Stage::new()?;
    let before = stage.server_leak(Family::Ipv4, 2)?;
    let Reply::Thread(tid, _) = stage.server.tell(&Order::LeaveMainThread)? else {
        bail!("no thread in the answer");
    };
    let after = stage.server_leak(Family::Ipv6, 2)?;
    let place = |truth: &Truth, tid| {
        let all = truth.holders.iter();
        all.map(|(pid, fd)| (*pid, tid, *fd)).collect()
    };
    for (way, look) in look_in_all(stage.netns().inode())? {
        for truth in before.iter().chain(&after) {
            let either = shown(&look, truth, &place(truth, None))
                .or_else(|_| shown(&look, truth, &place(truth, Some(tid))));
            either.with_context(|| format!("way {way}, {truth:?}"))?;
        }
    }
    Ok(())
}

/// Each of the processes has all of the descriptors.
fn of_two_processes() -> Result<()> {
    let mut stage = Stage::new()?;
    let before = stage.server_leak(Family::Ipv4, 2)?;
    let Reply::Pid(other) = stage.server.tell(&Order::ShareTable)? else {
        bail!("no process in the answer");
    };
    let after = stage.server_leak(Family::Ipv6, 2)?;
    let truths = [before, after].concat();
    held_by(&stage, &truths, |truth| {
        let all = truth.holders.iter();
        all.flat_map(|(pid, fd)| [(*pid, None, *fd), (other, None, *fd)])
            .collect()
    })?;
    stage.server.tell(&Order::EndChild { pid: other })?;
    Ok(())
}

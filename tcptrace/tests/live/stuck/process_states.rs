//! What a process does that holds stuck sockets: its state, and whether it is frozen.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use testbed::{Actor, Family, Netns, Order, Stage, clock::patience};

use crate::{
    harness::{
        case::Cases,
        cgroup::{Cgroup, Freezer},
        place::Place,
        verdict::Ignored,
    },
    run::{
        snapshot::{Group, Snapshot},
        tool::Tool,
    },
    stuck::walk::ways::look_in_all,
};

pub fn add(cases: &mut Cases) {
    cases.add("state_of_a_dead_main_thread", dead_main_thread);
    cases.add("state_in_a_namespace_of_its_own", own_namespace);
    cases.add("state_stopped", stopped).here();
    cases
        .add("state_frozen", || frozen(Freezer::Unified))
        .here();
    cases
        .add("state_frozen_by_v1", || frozen(Freezer::Old))
        .here();
    cases.add("state_of_frozen_candidates", frozen_candidates);
}

/// The only group.
fn group(look: &Snapshot) -> Result<&Group> {
    match &look.groups[..] {
        [group] => Ok(group),
        _ => bail!("not one group: {look:#?}"),
    }
}

/// What the text says in the column STATE.
fn column(netns: u64) -> Result<String> {
    let netns = netns.to_string();
    let words = ["stuck", "--once", "--older-than", "0s", "--netns", &netns];
    let text = Tool::start(Place::AsIs, &words)?.wait()?.success()?.stdout;
    let mut lines = text.lines().skip_while(|line| !line.contains("STATE"));
    let (heading, row) = lines.next().zip(lines.next()).context("no table")?;
    let (before, _) = heading.split_once("STATE").context("no such column")?;
    let rest: String = row.chars().skip(before.chars().count()).collect();
    Ok(rest.split("  ").next().unwrap_or_default().to_owned())
}

/// Waits until the process is in this state.
pub fn until_state(pid: u32, state: char) -> Result<()> {
    let start = Instant::now();
    let stat = format!("/proc/{pid}/stat");
    while !fs::read_to_string(&stat)?.contains(&format!(") {state} ")) {
        ensure!(start.elapsed() < patience(), "it is not in {state}");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The state is that of the threads that live, and so are its arguments.
fn dead_main_thread() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    stage.server_leak(Family::Ipv4, 2)?;
    stage.server.tell(&Order::LeaveMainThread)?;
    until_state(stage.server.pid(), 'Z')?;
    for (way, look) in look_in_all(netns)? {
        let group = group(&look)?;
        ensure!(group.pid == Some(stage.server.pid()), "{way}: {look:#?}");
        ensure!(
            group.process_state == Some('S') && group.frozen == Some(false),
            "{way}: {group:#?}"
        );
        ensure!(group.command.is_some(), "{way}: no command: {group:#?}");
    }
    let state = column(netns)?;
    ensure!(state == "sleeping", "{state:?}");
    Ok(())
}

/// Nothing but a thread that is not the first one leads to the namespace of its process.
fn own_namespace() -> Result<()> {
    let home = Netns::new()?;
    let mut actor = Actor::start(&home, "alone-in-netns")?;
    actor.tell(&Order::LeaveNamespace)?;
    let netns = fs::metadata(format!("/proc/{}/ns/net", actor.pid()))?.ino();
    leak(&mut actor, 2)?;
    actor.tell(&Order::LeaveMainThread)?;
    until_state(actor.pid(), 'Z')?;
    for (way, look) in look_in_all(netns)? {
        ensure!(look.sockets.len() == 2, "{way}: {look:#?}");
        ensure!(!look.has_caveat("unentered_namespaces"), "{way}: {look:#?}");
        for socket in &look.sockets {
            let holders = socket.holders.as_deref().context("holders are not known")?;
            let [holder] = holders else {
                bail!("{way}: not one: {socket:#?}");
            };
            ensure!(holder.pid == actor.pid(), "{way}: {socket:#?}");
        }
        ensure!(group(&look)?.process_state == Some('S'), "{way}: {look:#?}");
    }
    Ok(())
}

/// Makes an actor leak connections to itself.
fn leak(actor: &mut Actor, count: usize) -> Result<()> {
    let address = std::net::SocketAddr::new(Family::Ipv4.loopback(), 0);
    let listener = actor.socket(&Order::Listen {
        address,
        backlog: 8,
    })?;
    let address = listener.local;
    let clients = actor.sockets(&Order::Connect { address, count })?;
    let fd = listener.fd;
    let servers = actor.sockets(&Order::Accept { fd, count })?;
    let fds = clients.iter().map(|socket| socket.fd).collect();
    actor.tell(&Order::ShutdownAll { fds })?;
    for socket in servers {
        let state = testbed::state::CLOSE_WAIT;
        let fd = socket.fd;
        actor.time(&Order::Await { fd, state })?;
    }
    Ok(())
}

/// A signal has stopped it: that is no control group's doing.
fn stopped() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    stage.server_leak(Family::Ipv4, 2)?;
    let pid = stage.server.pid();
    let process = Pid::from_raw(pid.try_into()?).context("no PID")?;
    kill_process(process, Signal::STOP)?;
    until_state(pid, 'T')?;
    let look = Tool::look(Place::AsIs, netns, &[])?;
    let group = group(&look)?;
    ensure!(
        group.process_state == Some('T') && group.frozen == Some(false),
        "{group:#?}"
    );
    let state = column(netns)?;
    ensure!(state == "stopped", "{state:?}");
    Ok(())
}

/// It is frozen with its own group, and with one above it; then it sleeps again.
fn frozen(by: Freezer) -> Result<()> {
    let above = Cgroup::of(by, "frozen").map_err(Ignored::because)?;
    let below = above.below("below").map_err(Ignored::because)?;
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    stage.server_leak(Family::Ipv4, 2)?;
    below.take(stage.server.pid())?;
    for group_of in [&below, &above] {
        let is = |state: &str, frozen| {
            for (way, look) in look_in_all(netns)? {
                let group = group(&look)?;
                ensure!(group.frozen == Some(frozen), "{way}: {group:#?}");
                ensure!(group.process_state.is_some(), "{way}: {group:#?}");
            }
            let found = column(netns)?;
            ensure!(found == state, "{found:?}, not {state}");
            Ok(())
        };
        is("sleeping", false)?;
        let frozen = group_of.freeze().map_err(Ignored::because)?;
        is("frozen", true)?;
        drop(frozen);
        is("sleeping", false)?;
    }
    // One that is stopped, too, does not go on when it thaws.
    let process = Pid::from_raw(stage.server.pid().try_into()?).context("no PID")?;
    kill_process(process, Signal::STOP)?;
    until_state(stage.server.pid(), 'T')?;
    let state = column(netns)?;
    ensure!(state == "stopped", "{state:?}");
    Ok(())
}

/// Several processes may be meant, one of which is frozen.
fn frozen_candidates() -> Result<()> {
    let group_of = Cgroup::new("candidates").map_err(Ignored::because)?;
    let mut stage = Stage::new()?;
    let fds = [stage.listener(Family::Ipv4).fd];
    let child = stage.server.fork(&fds)?;
    stage.never_accepted(Family::Ipv4, 2)?;
    group_of.take(child)?;
    let frozen = group_of.freeze().map_err(Ignored::because)?;
    for (way, look) in look_in_all(stage.netns().inode())? {
        let group = group(&look)?;
        ensure!(
            group.pid.is_none() && group.frozen.is_none(),
            "{way}: {group:#?}"
        );
        let mut found: Vec<_> = (group.candidates.iter())
            .map(|one| (one.pid, one.frozen))
            .collect();
        found.sort_unstable();
        let mut expected = vec![(stage.server.pid(), Some(false)), (child, Some(true))];
        expected.sort_unstable();
        ensure!(found == expected, "{way}: {found:?}, not {expected:?}");
    }
    drop(frozen);
    drop(stage);
    Ok(())
}

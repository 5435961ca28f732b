//! Less usual ways in which a process can hold a socket. Each leaves sockets of the server in CLOSE_WAIT.

use anyhow::{Result, ensure};
use testbed::{Family, Order, Side, Stage, Truth};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::tool::Tool,
    stuck::check::{self, Age},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "holders_change", change);
    cases.add("held_from_another_namespace", from_another_namespace);
}

fn fds(truths: &[Truth]) -> Vec<i32> {
    truths
        .iter()
        .flat_map(|truth| truth.holders.iter().map(|(_, fd)| *fd))
        .collect()
}

/// Held by the server and by a child that inherited them.
pub fn child_and_parent(stage: &mut Stage, family: Family, count: usize) -> Result<Vec<Truth>> {
    let mut truths = stage.server_leak(family, count)?;
    let child = stage.server.fork(&fds(&truths))?;
    for truth in &mut truths {
        let inherited: Vec<_> = truth.holders.iter().map(|(_, fd)| (child, *fd)).collect();
        truth.holders.extend(inherited);
    }
    Ok(truths)
}

/// Held by a child that inherited them; the server has closed them.
pub fn child_only(stage: &mut Stage, family: Family, count: usize) -> Result<Vec<Truth>> {
    let mut truths = stage.server_leak(family, count)?;
    let fds = fds(&truths);
    let child = stage.server.fork(&fds)?;
    stage.server.tell(&Order::Close { fds })?;
    for truth in &mut truths {
        truth.holders = truth.holders.iter().map(|(_, fd)| (child, *fd)).collect();
    }
    Ok(truths)
}

/// Held by the client: the server passed them to it and then closed them.
pub fn passed(stage: &mut Stage, family: Family, count: usize) -> Result<Vec<Truth>> {
    let mut truths = in_flight(stage, family, count)?;
    for truth in &mut truths {
        let socket = stage.client.socket(&Order::Take)?;
        ensure!(
            Some(socket.cookie) == truth.cookie,
            "another socket was passed"
        );
        truth.holders = [(stage.client.pid(), socket.fd)].into();
        truth.receiver = None;
    }
    Ok(truths)
}

/// Held by no process: the server has passed and closed them, and no process has received them yet.
pub fn in_flight(stage: &mut Stage, family: Family, count: usize) -> Result<Vec<Truth>> {
    let mut truths = stage.server_leak(family, count)?;
    let name = format!("{family:?}-{}", truths[0].inode);
    stage.client.tell(&Order::Mailbox { name: name.clone() })?;
    for truth in &mut truths {
        truth.receiver = Some(stage.client.pid());
        for (_, fd) in std::mem::take(&mut truth.holders) {
            stage.server.tell(&Order::Pass {
                fd,
                name: name.clone(),
            })?;
            stage.server.tell(&Order::Close { fds: vec![fd] })?;
        }
    }
    Ok(truths)
}

/// Held by the server under two descriptors: it passed them to itself.
pub fn twice(stage: &mut Stage, family: Family, count: usize) -> Result<Vec<Truth>> {
    let mut truths = stage.server_leak(family, count)?;
    let name = format!("twice-{}", truths[0].inode);
    stage.server.tell(&Order::Mailbox { name: name.clone() })?;
    for truth in &mut truths {
        for fd in fds(std::slice::from_ref(truth)) {
            stage.server.tell(&Order::Pass {
                fd,
                name: name.clone(),
            })?;
            truth
                .holders
                .insert((stage.server.pid(), stage.server.socket(&Order::Take)?.fd));
        }
    }
    Ok(truths)
}

/// Each snapshot shows the holders of its moment, not those of the first snapshot.
fn change(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let mut truths = child_and_parent(&mut stage, Family::Ipv4, 3)?;
    check::exactly(&tool.fresh()?, &[(&truths, Age::Exact)])?;
    let server = stage.server.pid();
    let own: Vec<_> = truths
        .iter()
        .flat_map(|t| t.holders.iter())
        .filter(|(pid, _)| *pid == server)
        .collect();
    stage.server.tell(&Order::Close {
        fds: own.iter().map(|(_, fd)| *fd).collect(),
    })?;
    for truth in &mut truths {
        truth.holders.retain(|(pid, _)| *pid != server);
    }
    check::exactly(&tool.fresh()?, &[(&truths, Age::Exact)])?;
    let child = truths[0].holders.first().map_or(0, |(pid, _)| *pid);
    stage.server.tell(&Order::EndChild { pid: child })?;
    check::exactly(&tool.fresh()?, &[])?;
    tool.end()?;
    Ok(())
}

/// No process is left in the namespace of the sockets. They must be shown and their ages must be right, whatever
/// else the tool can find out about them.
fn from_another_namespace() -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(Place::Btf, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let pairs = stage.connect(Family::Ipv4, 3)?;
    stage.server.tell(&Order::LeaveNamespace)?;
    stage.client.tell(&Order::LeaveNamespace)?;
    let truths = stage.leak(&pairs, Side::Server)?;
    let snapshot = tool.fresh()?;
    ensure!(
        snapshot.sockets.len() == truths.len(),
        "not three sockets: {snapshot:#?}"
    );
    for truth in &truths {
        let mut sockets = snapshot.sockets.iter();
        // Kernels before 5.12 do not show the cookie here.
        let found = sockets.find(|s| s.remote.socket_addr() == Some(truth.remote));
        let right = found.is_some_and(|socket| {
            let since = snapshot.monotonic_ns - socket.age_ns;
            let cookie = socket.cookie.is_none() || socket.cookie == truth.cookie;
            cookie && socket.age == "exact" && truth.before_ns <= since && since <= truth.after_ns
        });
        ensure!(right, "{truth:?} is shown wrong: {found:#?}");
    }
    tool.end()?;
    Ok(())
}

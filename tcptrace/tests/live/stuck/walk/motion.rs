//! Looks at what changes meanwhile: descriptors that are passed on, and connections that come and go.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use testbed::{Actor, Family, Order, Reply, Stage};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::{
        snapshot::{Snapshot, Socket},
        tool::Tool,
    },
    stuck::walk::ways::{WAYS, works},
    truth::churn::Churn,
};

pub fn add(cases: &mut Cases) {
    for way in WAYS {
        let name = format!("passed_on_while_looked_at_by_{way}");
        cases.add(&name, move || passed_on(way));
    }
    cases
        .add_in(BOTH, "looks_amid_a_churn", amid_a_churn)
        .alone()
        .here_in(Place::Tracepoint);
}

/// Sockets of any age, looked at as often as possible.
fn look_often(place: Place, netns: u64, more: &[&str]) -> Result<Tool> {
    let netns = netns.to_string();
    let words = "stuck --json --older-than 0s --interval 10ms --netns";
    let words = words.split(' ').chain([netns.as_str()]);
    let options = place.arguments().iter().chain(more).copied();
    let words: Vec<_> = words.chain(options).collect();
    Tool::start(place, &words)
}

/// How long descriptors are passed on.
const TIME: Duration = Duration::from_millis(1200);
const COUNT: usize = 3;
/// By `/proc` about every fifth socket of a look is met with its holder: of so many looks one does that.
const ENOUGH: usize = 15;

/// At every moment one of the two processes has each socket, or a message to one of them.
fn passed_on(way: &str) -> Result<()> {
    works(way)?;
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let truths = stage.server_leak(Family::Ipv4, COUNT)?;
    let both = [stage.server.pid(), stage.client.pid()];
    let [to_server, to_client] = ["to-server", "to-client"];
    let open = |actor: &mut Actor, name: &str| actor.tell(&Order::Mailbox { name: name.into() });
    open(&mut stage.server, to_server)?;
    open(&mut stage.client, to_client)?;
    for (_, fd) in truths.iter().flat_map(|truth| truth.holders.iter()) {
        let (fd, name) = (*fd, to_client.into());
        stage.server.tell(&Order::Pass { fd, name })?;
        stage.server.tell(&Order::Close { fds: vec![fd] })?;
    }
    let mut tool = look_often(Place::AsIs, netns, &["--walk", way])?;
    tool.fresh()?;
    let milliseconds = TIME.as_millis().try_into()?;
    let begin = |actor: &mut Actor, name: &str| {
        let name = name.into();
        actor.begin(&Order::PassOn { name, milliseconds })
    };
    begin(&mut stage.server, to_client)?;
    begin(&mut stage.client, to_server)?;
    let (mut looks, start) = (Vec::new(), Instant::now());
    while start.elapsed() < TIME * 3 / 4 {
        looks.push(tool.fresh()?);
    }
    looks.push(Tool::look(Place::AsIs, netns, &["--walk", way])?);
    tool.end()?;
    let mut passed = 0;
    for actor in [&mut stage.server, &mut stage.client] {
        match actor.finish()? {
            Reply::Count(count) => passed += count,
            other => bail!("the answer is {other:?}"),
        }
    }
    ensure!(passed > 100, "only {passed} were passed on");
    let mut known = 0;
    for look in &looks {
        ensure!(look.sockets.len() == COUNT, "not {COUNT}: {look:#?}");
        for socket in &look.sockets {
            known += u64::from(is_held_by(socket, &both)?);
        }
    }
    println!("{} looks, {passed} passed on, {known} known", looks.len());
    // A slow machine looks too seldom to meet one for certain.
    ensure!(
        known > 0 || looks.len() < ENOUGH,
        "no look of {} knows a holder",
        looks.len()
    );
    Ok(())
}

/// Whether a holder is known. It must be one of these processes.
fn is_held_by(socket: &Socket, pids: &[u32]) -> Result<bool> {
    let Some(holders) = &socket.holders else {
        ensure!(socket.held == "unknown", "not unknown: {socket:#?}");
        return Ok(false);
    };
    let right = holders.iter().all(|holder| pids.contains(&holder.pid));
    ensure!(
        !holders.is_empty() && right,
        "not held by one of {pids:?}: {socket:#?}"
    );
    Ok(true)
}

/// Connections of each pair of processes.
const CONNECTIONS: usize = 3000;

/// The client closes first, so each of the server's sockets is in CLOSE_WAIT for a moment, with its holder. A look
/// never shows one that entered during the look, or has left, as one without a holder.
fn amid_a_churn(place: Place) -> Result<()> {
    let mut churn = Churn::start(Churn::netns()?)?;
    let mut tool = look_often(place, churn.netns.inode(), &[])?;
    tool.fresh()?;
    churn.begin(CONNECTIONS)?;
    let (mut looks, start) = (Vec::<Snapshot>::new(), Instant::now());
    while start.elapsed() < TIME / 2 {
        looks.push(tool.fresh()?);
    }
    churn.finish()?;
    looks.push(tool.fresh()?);
    tool.end()?;
    let servers = churn.servers();
    let mut shown = 0;
    for socket in looks.iter().flat_map(|look| &look.sockets) {
        ensure!(is_held_by(socket, &servers)?, "nobody has it: {socket:#?}");
        shown += 1;
    }
    println!("{} looks, {shown} sockets shown", looks.len());
    let last = looks.last().map_or(0, |look| look.sockets.len());
    ensure!(last == 0, "{last} are left over");
    Ok(())
}

//! Other states than CLOSE_WAIT.

use anyhow::{Result, ensure};
use testbed::{
    Family, Order, Side, Socket, Stage,
    state::{FIN_WAIT2, LAST_ACK, SYN_SENT},
};

use crate::{
    harness::{
        case::Cases,
        kernel,
        place::{BOTH, Place},
    },
    run::{
        snapshot::{Holder, Snapshot},
        tool::Tool,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "state_fin_wait2", |place| {
        both_ages(place, "FIN_WAIT2", fin_wait2)
    });
    cases.add_in(BOTH, "state_last_ack", |place| {
        both_ages(place, "LAST_ACK", last_ack)
    });
    cases.add_in(BOTH, "state_syn_sent", |place| {
        both_ages(place, "SYN_SENT", syn_sent)
    });
}

/// Brings two sockets into the state and returns them.
type Enter = fn(&mut Stage) -> Result<Vec<Socket>>;

/// The peer leaks, so this side waits for its FIN.
fn fin_wait2(stage: &mut Stage) -> Result<Vec<Socket>> {
    let pairs = stage.connect(Family::Mapped, 2)?;
    stage.leak(&pairs, Side::Server)?;
    for pair in &pairs {
        stage.client.time(&Order::Await {
            fd: pair.client.fd,
            state: FIN_WAIT2,
        })?;
    }
    Ok(pairs.into_iter().map(|pair| pair.client).collect())
}

/// Both sides close, and the peer goes silent before it acknowledges.
fn last_ack(stage: &mut Stage) -> Result<Vec<Socket>> {
    let pairs = stage.connect(Family::Ipv4, 2)?;
    stage.leak(&pairs, Side::Server)?;
    for pair in &pairs {
        stage.client.time(&Order::Await {
            fd: pair.client.fd,
            state: FIN_WAIT2,
        })?;
        stage.client.tell(&Order::Deafen { fd: pair.client.fd })?;
        // Not closed, so that it can still be asked.
        stage.server.tell(&Order::Shutdown { fd: pair.server.fd })?;
        stage.server.time(&Order::Await {
            fd: pair.server.fd,
            state: LAST_ACK,
        })?;
    }
    Ok(pairs.into_iter().map(|pair| pair.server).collect())
}

/// A listener that receives nothing answers nothing.
fn syn_sent(stage: &mut Stage) -> Result<Vec<Socket>> {
    let (fd, address) = (
        stage.listener(Family::Ipv6).fd,
        stage.listener(Family::Ipv6).local,
    );
    stage.server.tell(&Order::Deafen { fd })?;
    let sockets = stage
        .client
        .sockets(&Order::ConnectUnanswered { address, count: 2 })?;
    for socket in &sockets {
        stage.client.time(&Order::Await {
            fd: socket.fd,
            state: SYN_SENT,
        })?;
    }
    Ok(sockets)
}

fn shows(snapshot: &Snapshot, sockets: &[Socket], state: &str, age: &str) -> Result<()> {
    for socket in sockets {
        let found = snapshot
            .sockets
            .iter()
            .find(|found| found.cookie == Some(socket.cookie));
        let right = found.is_some_and(|found| {
            let fd = |holder: &Holder| holder.fd == Some(socket.fd);
            let held = found
                .holders
                .as_deref()
                .is_some_and(|holders| holders.len() == 1 && holders.iter().all(fd));
            held && found.state == state
                && found.age == age
                && found.local.socket_addr() == Some(socket.local)
        });
        ensure!(
            right,
            "{socket:?} is not shown as {age}, or is shown wrong: {found:#?}"
        );
    }
    Ok(())
}

fn both_ages(place: Place, state: &str, enter: Enter) -> Result<()> {
    let mut stage = Stage::new()?;
    let before = enter(&mut stage)?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &["--state", state])?;
    let snapshot = tool.fresh()?;
    ensure!(snapshot.watched.state == state, "{:?}", snapshot.watched);
    shows(&snapshot, &before, state, "at_least")?;
    ensure!(
        snapshot.sockets.len() == before.len(),
        "invented: {snapshot:#?}"
    );
    let after = enter(&mut stage)?;
    let snapshot = tool.fresh()?;
    shows(&snapshot, &before, state, "at_least")?;
    // Without its cookie a socket is identified by its addresses, but a socket that begins to connect has no port
    // yet. The tool cannot find its transition then. It shows a lower bound, not the exact age of another socket.
    let without_cookies = place.hook() == "tracepoint" || !kernel::tells_cookies();
    let nameless = state == "SYN_SENT" && without_cookies;
    let age = if nameless { "at_least" } else { "exact" };
    shows(&snapshot, &after, state, age)?;
    ensure!(
        snapshot.sockets.len() == before.len() + after.len(),
        "invented: {snapshot:#?}"
    );
    tool.end()?;
    Ok(())
}

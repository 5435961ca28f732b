//! The ways in which a socket stops being stuck. Each must remove exactly that socket from the report.

use anyhow::Result;
use testbed::{Family, Order, Side, Stage};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::let_them_age,
    },
    run::tool::Tool,
    stuck::check::{self, Age},
    truth::stage::die_of_keepalive,
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "ended_by_close", |place| single(place, close));
    cases.add_in(BOTH, "ended_by_reset", |place| single(place, reset));
    cases
        .add_in(BOTH, "ended_by_keepalive", |place| single(place, keepalive))
        .here_in(Place::Tracepoint);
    cases.add_in(BOTH, "ended_by_exit", exit);
    cases.add_in(BOTH, "ended_by_namespace_removal", namespace_removal);
    cases.add_in(BOTH, "ended_by_listener_closing", listener_closes);
}

/// Ends the first of two pairs' server ends.
type Ending = fn(&mut Stage, &testbed::Pair) -> Result<()>;

fn close(stage: &mut Stage, pair: &testbed::Pair) -> Result<()> {
    stage.server.tell(&Order::Close {
        fds: vec![pair.server.fd],
    })?;
    Ok(())
}

/// The peer resets the connection: the descriptor stays open, but the connection is gone.
fn reset(stage: &mut Stage, pair: &testbed::Pair) -> Result<()> {
    stage.client.tell(&Order::Reset {
        fds: vec![pair.client.fd],
    })?;
    stage.server.time(&Order::Await {
        fd: pair.server.fd,
        state: testbed::state::CLOSE,
    })?;
    Ok(())
}

fn keepalive(stage: &mut Stage, pair: &testbed::Pair) -> Result<()> {
    die_of_keepalive(stage, pair)
}

fn single(place: Place, end: Ending) -> Result<()> {
    let mut stage = Stage::new()?;
    let old = stage.connect(Family::Ipv4, 2)?;
    let old_truths = stage.leak(&old, Side::Server)?;
    let_them_age();
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let new = stage.connect(Family::Ipv6, 2)?;
    let new_truths = stage.leak(&new, Side::Server)?;
    check::exactly(
        &tool.fresh()?,
        &[(&old_truths, Age::AtLeast), (&new_truths, Age::Exact)],
    )?;
    end(&mut stage, &old[0])?;
    end(&mut stage, &new[0])?;
    // A reset or an acknowledged keepalive probe counts as an acknowledgement, but only for that connection.
    let left = [
        (&old_truths[1..], Age::AtLeast),
        (&new_truths[1..], Age::Exact),
    ];
    check::exactly(&tool.fresh()?, &left)?;
    tool.end()?;
    Ok(())
}

fn exit(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let of_server = stage.server_leak(Family::Ipv4, 5)?;
    let of_client = stage.client_leak(Family::Ipv6, 5)?;
    check::exactly(
        &tool.fresh()?,
        &[(&of_server, Age::Exact), (&of_client, Age::Exact)],
    )?;
    // Its ends of the client's sockets close, too. That does not change the client's sockets: they have
    // their FIN already.
    stage.server.kill();
    check::exactly(&tool.fresh()?, &[(&of_client, Age::Exact)])?;
    tool.end()?;
    Ok(())
}

fn namespace_removal(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, 3)?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    stage.client_leak(Family::Ipv6, 3)?;
    stage.never_accepted(Family::Mapped, 3)?;
    tool.until("nine sockets", |snapshot| snapshot.sockets.len() == 9)?;
    drop(stage);
    // The processes are gone at once, but the kernel needs time to remove a namespace.
    tool.until("no sockets", |snapshot| snapshot.sockets.is_empty())?;
    tool.end()?;
    Ok(())
}

fn listener_closes(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let old = stage.never_accepted(Family::Ipv4, 3)?;
    let_them_age();
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let new = stage.never_accepted(Family::Ipv4, 3)?;
    let others = stage.never_accepted(Family::Ipv6, 3)?;
    let all = [
        (&old[..], Age::AtLeast),
        (&new[..], Age::Exact),
        (&others[..], Age::Exact),
    ];
    check::exactly(&tool.fresh()?, &all)?;
    let fds = vec![stage.listener(Family::Ipv4).fd];
    stage.server.tell(&Order::Close { fds })?;
    check::exactly(&tool.fresh()?, &[(&others, Age::Exact)])?;
    tool.end()?;
    Ok(())
}

//! What the kernel still keeps for a socket that is stuck.

use anyhow::{Context, Result, ensure};
use testbed::{Family, Order, Side, Stage};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::tool::Tool,
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "queues_and_keepalive", queues_and_keepalive);
}

/// The kernel counts the FIN as one byte until it has been read: unread data and the FIN, the FIN alone, nothing.
fn queues_and_keepalive(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut tool = Tool::watch(place, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let pairs = stage.connect(Family::Ipv4, 4)?;
    stage.client.tell(&Order::Send {
        fd: pairs[0].client.fd,
        bytes: 1234,
    })?;
    let fd = pairs[3].server.fd;
    stage.server.tell(&Order::Keepalive {
        fd,
        idle: 60,
        interval: 60,
        count: 5,
    })?;
    stage.leak(&pairs, Side::Server)?;
    stage.server.tell(&Order::Drain {
        fd: pairs[2].server.fd,
    })?;
    let snapshot = tool.fresh()?;
    let expected = [(1235, false), (1, false), (0, false), (1, true)];
    for (pair, (recv_queue, keepalive)) in pairs.iter().zip(expected) {
        let mut sockets = snapshot.sockets.iter();
        let found = sockets
            .find(|socket| socket.cookie == Some(pair.server.cookie))
            .context("not seen")?;
        ensure!(
            found.recv_queue == Some(recv_queue),
            "not {recv_queue} unread: {found:#?}"
        );
        ensure!(found.send_queue == Some(0), "nothing was sent: {found:#?}");
        ensure!(
            found.keepalive == Some(keepalive),
            "keepalive is not {keepalive}: {found:#?}"
        );
    }
    tool.end()?;
    Ok(())
}

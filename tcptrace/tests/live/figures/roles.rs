//! Which side of its connection a socket is, where its port and its listener do not tell.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use testbed::{Beside, Family, Order, Stage, state::CLOSE_WAIT};

use crate::{
    harness::{case::Cases, place::Place},
    run::tool::Tool,
};

pub fn add(cases: &mut Cases) {
    cases.add("role_of_a_dialer_from_a_port_that_listens", dialer);
    cases.add("role_without_a_backlog_and_a_listener", no_listener);
    cases.add("keepalive_of_an_orphan_is_not_known", orphan);
}

/// It connected, although a listener of its own has the same port.
fn dialer() -> Result<()> {
    let mut stage = Stage::new()?;
    let any = SocketAddr::new(Family::Ipv4.loopback(), 0);
    let (address, backlog, how) = (any, 16, Beside::SharedPort);
    let own = (stage.client).socket(&Order::ListenBeside {
        address,
        backlog,
        how,
    })?;
    let (local, bind) = (own.local, true);
    let fd = stage.client.socket(&Order::Open { local, bind })?.fd;
    let (address, blocking) = (stage.listener(Family::Ipv4).local, true);
    stage.client.tell(&Order::Dial {
        fd,
        address,
        blocking,
    })?;
    let accepted = stage.accept(Family::Ipv4, 1)?;
    stage.server.tell(&Order::Shutdown { fd: accepted[0].fd })?;
    stage.client.time(&Order::Await {
        fd,
        state: CLOSE_WAIT,
    })?;
    only_role(&stage, "client")
}

/// `listen(0)` leaves no backlog with its connections, and its listener is closed.
fn no_listener() -> Result<()> {
    let mut stage = Stage::new()?;
    let (address, backlog) = (SocketAddr::new(Family::Ipv4.loopback(), 0), 0);
    let listener = stage.server.socket(&Order::Listen { address, backlog })?;
    let (address, count) = (listener.local, 1);
    let client = stage.client.socket(&Order::Connect { address, count })?;
    let fd = stage
        .server
        .socket(&Order::Accept {
            fd: listener.fd,
            count,
        })?
        .fd;
    stage.server.tell(&Order::Close {
        fds: vec![listener.fd],
    })?;
    stage.client.tell(&Order::Shutdown { fd: client.fd })?;
    stage.server.time(&Order::Await {
        fd,
        state: CLOSE_WAIT,
    })?;
    only_role(&stage, "server")
}

fn only_role(stage: &Stage, role: &str) -> Result<()> {
    for way in ["auto", "proc"] {
        let look = Tool::look(Place::AsIs, stage.netns().inode(), &["--walk", way])?;
        let [socket] = &look.sockets[..] else {
            anyhow::bail!("not one: {:#?}", look.sockets);
        };
        ensure!(socket.role == role, "way {way}: {socket:#?}");
        let group = look.groups.first().context("no group")?;
        ensure!(group.role == role, "way {way}: {group:#?}");
    }
    Ok(())
}

/// The timer of an orphan in `FIN_WAIT2` has the number of the keepalive timer. With a `tcp_fin_timeout` of more than
/// the 60 s of TIME_WAIT the kernel keeps the whole socket until that timer runs out.
fn orphan() -> Result<()> {
    let mut stage = Stage::new()?;
    let timeout = "/proc/sys/net/ipv4/tcp_fin_timeout";
    (stage.netns()).run(move || std::fs::write(timeout, "120"))??;
    let pairs = stage.connect(Family::Ipv4, 1)?;
    stage.leak(&pairs, testbed::Side::Server)?;
    let fd = pairs[0].client.fd;
    let state = testbed::state::FIN_WAIT2;
    stage.client.time(&Order::Await { fd, state })?;
    stage.client.tell(&Order::Close { fds: vec![fd] })?;
    for way in ["auto", "proc"] {
        let words = ["--walk", way, "--state", "FIN_WAIT2"];
        let look = Tool::look(Place::AsIs, stage.netns().inode(), &words)?;
        let [socket] = &look.sockets[..] else {
            anyhow::bail!("not one: {:#?}", look.sockets);
        };
        ensure!(
            socket.keepalive.is_none() && !socket.remainder,
            "{socket:#?}"
        );
        ensure!(socket.held == "none", "{socket:#?}");
    }
    Ok(())
}

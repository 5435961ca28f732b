//! One group for what has one cause.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use testbed::{Family, Order, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::RecvQueues, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("groups_of_a_listener", of_a_listener);
    cases.add("groups_of_a_v4_mapped_remote", of_a_mapped_remote);
    cases
        .add("groups_name_what_a_process_runs", what_it_runs)
        .here();
}

/// Accepted or not, whatever the client's port is: they are servers, and one group. It shows how the unread bytes
/// are spread.
fn of_a_listener() -> Result<()> {
    let mut stage = Stage::new()?;
    let pairs = stage.connect(Family::Ipv4, 3)?;
    stage.client.tell(&Order::Send {
        fd: pairs[0].client.fd,
        bytes: 10,
    })?;
    stage.leak(&pairs, testbed::Side::Server)?;
    stage.server.tell(&Order::Drain {
        fd: pairs[1].server.fd,
    })?;
    stage.never_accepted(Family::Ipv4, 4)?;
    let port = stage.listener(Family::Ipv4).local.port();
    for way in ["auto", "proc"] {
        let look = Tool::look(Place::AsIs, stage.netns().inode(), &["--walk", way])?;
        let [group] = &look.groups[..] else {
            anyhow::bail!("not one group: {:#?}", look.groups);
        };
        let local = group.local.context("no listener")?;
        ensure!(
            (group.role.as_str(), local.port) == ("server", port)
                && local.address == Some(Family::Ipv4.loopback()),
            "{group:#?}"
        );
        ensure!(
            (group.sockets, group.unaccepted, group.pid) == (7, 4, Some(stage.server.pid())),
            "{group:#?}"
        );
        let spread = RecvQueues {
            zero: 1,
            one: 5,
            more: 1,
            unknown: 0,
        };
        ensure!(group.recv_queues == spread, "{group:#?}");
        ensure!(
            look.sockets.iter().all(|one| one.role == "server"),
            "{look:#?}"
        );
    }
    Ok(())
}

/// `127.0.0.1` and `::ffff:127.0.0.1` are one remote.
fn of_a_mapped_remote() -> Result<()> {
    let mut stage = Stage::new()?;
    let plain = stage.listener(Family::Ipv4).local;
    let mapped = SocketAddr::new(Family::Mapped.loopback(), plain.port());
    let mut servers = Vec::new();
    for address in [plain, mapped] {
        let count = 2;
        stage.client.sockets(&Order::Connect { address, count })?;
        servers.extend(stage.accept(Family::Ipv4, count)?);
    }
    for socket in &servers {
        stage.server.tell(&Order::Shutdown { fd: socket.fd })?;
    }
    let netns = stage.netns().inode();
    let mut tool = Tool::watch(Place::AsIs, netns, &[])?;
    let look = tool.until("all of them", |look| look.sockets.len() == 4)?;
    tool.end()?;
    let [group] = &look.groups[..] else {
        anyhow::bail!("not one group: {:#?}", look.groups);
    };
    let remote = group.remote.and_then(|end| end.socket_addr());
    ensure!(
        group.role == "client" && remote == Some(plain),
        "{group:#?}"
    );
    let forms: Vec<_> = look.sockets.iter().map(|one| one.remote.address).collect();
    ensure!(
        forms.contains(&mapped.ip()),
        "the socket's own form is kept: {forms:?}"
    );
    Ok(())
}

/// The program, and its arguments only if somebody asks for them.
fn what_it_runs() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, 1)?;
    let program = "leaky-server.program";
    let netns = stage.netns().inode();
    let command = |words: &[&str]| -> Result<Option<String>> {
        let look = Tool::look(Place::AsIs, netns, words)?;
        Ok(look.groups[0].command.clone())
    };
    let short = command(&[])?;
    ensure!(short.as_deref() == Some(program), "{short:?}");
    let whole = command(&["-v"])?.context("nothing")?;
    ensure!(
        whole.starts_with(&format!("/opt/testbed/{program} ")),
        "{whole}"
    );
    Ok(())
}

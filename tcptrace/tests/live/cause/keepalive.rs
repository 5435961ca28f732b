//! What `net.ipv4.tcp_keepalive_*` can do for sockets in CLOSE_WAIT: nothing without `SO_KEEPALIVE`; with it, it makes
//! residue of those whose peer is gone.

use std::{thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use testbed::{Family, Order, Pair, Stage, clock::slowness, state::CLOSE};

use super::traffic::{exchange, fin};
use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

/// Sockets of each kind.
const FEW: usize = 3;

pub fn add(cases: &mut Cases) {
    cases
        .add("keepalive_sysctls_make_residue_at_most", sysctls)
        .here();
}

/// How the sockets are, and what became of each kind.
struct Scene {
    stage: Stage,
    /// Without `SO_KEEPALIVE`.
    silent: Vec<Pair>,
    /// With it, and the peer has forgotten the connection: its FIN_WAIT2 has ended.
    forgotten: Vec<Pair>,
    /// With it, and nothing comes back from the peer: its machine is off.
    cut_off: Vec<Pair>,
    /// With it, and the peer is there and has only ended its own direction.
    alive: Vec<Pair>,
}

impl Scene {
    fn new() -> Result<Self> {
        let mut stage = Stage::new()?;
        for (name, value) in [
            ("tcp_keepalive_time", "2"),
            ("tcp_keepalive_intvl", "1"),
            ("tcp_keepalive_probes", "2"),
            ("tcp_fin_timeout", "1"),
        ] {
            stage.netns().set(&format!("ipv4/{name}"), value)?;
        }
        let mut pairs = stage.connect(Family::Ipv4, 4 * FEW)?;
        for pair in &pairs {
            exchange(&mut stage.server, &mut stage.client, &turned(pair))?;
        }
        let mut take = || pairs.split_off(pairs.len() - FEW);
        let (silent, forgotten, cut_off, alive) = (take(), take(), take(), take());
        for pair in forgotten.iter().chain(&cut_off).chain(&alive) {
            let fd = pair.client.fd;
            stage.client.tell(&Order::SystemKeepalive { fd })?;
        }
        let ends: Vec<_> = cut_off
            .iter()
            .chain(&alive)
            .map(|pair| &pair.server)
            .collect();
        fin(&mut stage.server, &ends)?;
        for pair in &cut_off {
            stage.server.tell(&Order::Deafen { fd: pair.server.fd })?;
        }
        let fds = silent.iter().chain(&forgotten).map(|pair| pair.server.fd);
        stage.server.tell(&Order::Close { fds: fds.collect() })?;
        Ok(Self {
            stage,
            silent,
            forgotten,
            cut_off,
            alive,
        })
    }

    fn look(&self) -> Result<Snapshot> {
        Tool::look(Place::AsIs, self.stage.netns().inode(), &[])
    }
}

/// The same connection with the requests going the other way.
fn turned(pair: &Pair) -> Pair {
    Pair {
        client: pair.server.clone(),
        server: pair.client.clone(),
    }
}

fn sysctls() -> Result<()> {
    let mut scene = Scene::new()?;
    let look = scene.look()?;
    ensure!(
        look.sockets.len() == 4 * FEW,
        "not all are stuck: {:#?}",
        look.groups
    );
    for pair in scene.forgotten.iter().chain(&scene.cut_off) {
        let (fd, state) = (pair.client.fd, CLOSE);
        scene.stage.client.time(&Order::Await { fd, state })?;
    }
    // As long again: whoever is left, stays.
    sleep(Duration::from_secs(3) * slowness());
    let look = scene.look()?;
    let is_there = |pair: &Pair| {
        look.sockets
            .iter()
            .any(|one| one.inode == Some(pair.client.inode))
    };
    for pair in &scene.silent {
        ensure!(
            is_there(pair),
            "a socket without SO_KEEPALIVE has left: {:#?}",
            pair.client
        );
    }
    for pair in &scene.alive {
        ensure!(
            is_there(pair),
            "the peer is there, and it has left: {:#?}",
            pair.client
        );
    }
    ensure!(look.sockets.len() == 2 * FEW, "{:#?}", look.sockets);
    let residue = look.residue.as_deref().unwrap_or_default();
    ensure!(residue.len() == 2 * FEW, "{residue:#?}");
    for (pairs, by) in [(&scene.forgotten, "reset"), (&scene.cut_off, "timeout")] {
        for pair in pairs {
            let found = residue.iter().find(|one| one.inode == pair.client.inode);
            let Some(found) = found else {
                anyhow::bail!("not among the residue: {:#?}: {residue:#?}", pair.client);
            };
            ensure!(found.died_by.as_deref() == Some(by), "not {by}: {found:#?}");
            ensure!(found.was_close_wait == Some(true), "{found:#?}");
            let pid = scene.stage.client.pid();
            ensure!(
                found
                    .holders
                    .iter()
                    .any(|one| one.pid == pid && one.fd == Some(pair.client.fd)),
                "its descriptor is open: {found:#?}"
            );
        }
    }
    Ok(())
}

//! Two groups of one process, of which one is the consequence of the other.

use std::{thread::sleep, time::Duration};

use anyhow::{Context, Result, ensure};
use testbed::{Family, Stage, clock::slowness};

use super::{
    check::{Said, said},
    traffic::{REQUEST, Upstream, clients, fin, lease, send},
};
use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

const POOL: usize = 20;
const REQUESTS: usize = 50;

pub fn add(cases: &mut Cases) {
    cases.add("cause_story", story);
    cases
        .add("cause_story_the_other_way_round", the_other_way_round)
        .here();
}

/// A server whose connections to another one are never given back, and whose own clients have given up since.
pub struct Story {
    pub stage: Stage,
    pub upstream: Upstream,
}

impl Story {
    pub fn new() -> Result<Self> {
        let stage = Stage::new()?;
        let upstream = Upstream::new(stage.netns(), "upstream")?;
        Ok(Self { stage, upstream })
    }

    /// Connections to the other server are leased.
    pub fn lease(&mut self, count: usize) -> Result<()> {
        let pairs = self.upstream.connect(&mut self.stage.server, count)?;
        lease(&mut self.stage.server, &mut self.upstream.actor, &pairs)?;
        Ok(())
    }

    /// Requests come that nobody reads, and their clients give up.
    pub fn starve(&mut self, count: usize) -> Result<()> {
        let stage = &mut self.stage;
        let pairs = stage.connect(Family::Ipv4, count)?;
        for pair in &pairs {
            send(&mut stage.client, &pair.client, REQUEST)?;
        }
        fin(&mut stage.client, &clients(&pairs))
    }

    /// All of it, the cause first.
    pub fn told() -> Result<Self> {
        let mut story = Self::new()?;
        story.lease(POOL)?;
        sleep(Duration::from_millis(300) * slowness());
        story.starve(REQUESTS)?;
        Ok(story)
    }

    pub fn look(&self) -> Result<Snapshot> {
        Tool::look(Place::AsIs, self.stage.netns().inode(), &[])
    }

    /// What is said about the cause and about the consequence.
    pub fn said<'a>(&self, look: &'a Snapshot) -> Result<(Said<'a>, Said<'a>)> {
        let pid = self.stage.server.pid();
        Ok((said(look, pid, "client")?, said(look, pid, "server")?))
    }
}

/// One fault and two groups: the cause comes first, though the consequence is larger.
fn story() -> Result<()> {
    let story = Story::told()?;
    let look = story.look()?;
    let (cause, consequence) = story.said(&look)?;
    cause.is(POOL, "leased", "unknown")?;
    ensure!(cause.diagnosis.follows_from.is_none(), "{cause:#?}");
    consequence
        .is(REQUESTS, "starved", "unknown")?
        .because(&["not one byte was read on 50 of 50", "later than"])?;
    let roles: Vec<_> = look.groups.iter().map(|one| one.role.as_str()).collect();
    ensure!(roles == ["client", "server"], "the order: {roles:?}");
    let from = consequence.diagnosis.follows_from;
    let from = from.with_context(|| format!("it follows from nothing: {consequence:#?}"))?;
    ensure!(from.pid == story.stage.server.pid(), "{from:?}");
    let remote = from.remote.and_then(|remote| remote.socket_addr());
    ensure!(
        remote == Some(story.upstream.listener.local) && from.local.is_none(),
        "{from:?}"
    );
    let remedy = &consequence.diagnosis.causes[0].remedy;
    ensure!(remedy.starts_with("mend what it follows from"), "{remedy}");
    Ok(())
}

/// What began first is not a consequence of what came later.
fn the_other_way_round() -> Result<()> {
    let mut story = Story::new()?;
    story.starve(REQUESTS)?;
    sleep(Duration::from_millis(300) * slowness());
    story.lease(POOL)?;
    let look = story.look()?;
    let (client, server) = story.said(&look)?;
    client.is(POOL, "leased", "unknown")?;
    server
        .is(REQUESTS, "starved", "unknown")?
        .because(&["may follow from"])?;
    ensure!(server.diagnosis.follows_from.is_none(), "{server:#?}");
    let roles: Vec<_> = look.groups.iter().map(|one| one.role.as_str()).collect();
    ensure!(roles == ["server", "client"], "the order: {roles:?}");
    Ok(())
}

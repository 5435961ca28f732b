//! Checks histograms against known durations.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    Actor, Family, How, Order, Side, Socket, Stage, Whose,
    clock::{monotonic_ns, slowness},
    state::CLOSE_WAIT,
};

use crate::{
    harness::{
        tolerance::exact_ns,
        verdict::{Findings, counted},
    },
    run::hist::{Durations, Quantile, Report},
};

/// How long a socket was in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// At least.
    pub least_ns: u64,
    /// At most.
    pub most_ns: u64,
}

impl Stay {
    /// From a time within the bounds `begin` to a time within the bounds `end`.
    pub fn between(begin: (u64, u64), end: (u64, u64)) -> Self {
        Self {
            least_ns: end.0.saturating_sub(begin.1),
            most_ns: end.1.saturating_sub(begin.0),
        }
    }

    /// The same, but it may have been this much shorter or longer.
    pub fn give_or_take(self, ns: u64) -> Self {
        Self {
            least_ns: self.least_ns.saturating_sub(ns),
            most_ns: self.most_ns + ns,
        }
    }
}

/// How far apart two programs usually read the clock.
pub fn apart_ns() -> u64 {
    20_000 * u64::from(slowness())
}

/// Checks that every duration is in its bucket.
pub fn agrees(found: &Durations, stays: &[Stay]) -> Result<()> {
    agrees_but_for(found, stays, 0)?;
    let sum = |of: fn(&Stay) -> u64| stays.iter().map(of).sum::<u64>();
    let sums = sum(|stay| stay.least_ns)..=sum(|stay| stay.most_ns);
    ensure!(
        sums.contains(&found.sum_ns),
        "{} is not in {sums:?}",
        found.sum_ns
    );
    let longest = |of: fn(&Stay) -> u64| stays.iter().map(of).max();
    ensure!(
        longest(|stay| stay.least_ns) <= found.max_ns
            && found.max_ns <= longest(|stay| stay.most_ns),
        "longest {:?} in {stays:?}",
        found.max_ns
    );
    Ok(())
}

/// Checks that every duration is in its bucket, except for this number of outliers. At each bound of a bucket, the
/// number of shorter durations must be between those that are certainly shorter and those that may be shorter.
pub fn agrees_but_for(found: &Durations, stays: &[Stay], outliers: usize) -> Result<()> {
    let count = stays.len() as u64;
    counted(found.count, count, || format!("{found:#?}"))?;
    let mut below = 0;
    let right = |border: u64, below: u64| -> Result<()> {
        let shorter = |of: fn(&Stay) -> u64| stays.iter().filter(|stay| of(stay) < border).count();
        let (must, may) = (
            shorter(|stay| stay.most_ns),
            shorter(|stay| stay.least_ns) + outliers,
        );
        ensure!(
            must.saturating_sub(outliers) as u64 <= below && below <= may as u64,
            "{below} shorter than {border} ns, not from {must} to {may}: {found:#?}\n{stays:?}"
        );
        Ok(())
    };
    for bucket in &found.buckets {
        right(bucket.ge_ns, below)?;
        below += bucket.count;
        right(bucket.le_ns.saturating_add(1), below)?;
    }
    Ok(())
}

/// Checks that quantiles are as close to the truth as they say, and within 6.25 % of it.
pub fn quantiles_agree(found: &[Quantile], stays: &[Stay]) -> Result<()> {
    let sorted = |of: fn(&Stay) -> u64| {
        let mut all: Vec<_> = stays.iter().map(of).collect();
        all.sort_unstable();
        all
    };
    let (least, most) = (sorted(|stay| stay.least_ns), sorted(|stay| stay.most_ns));
    ensure!(!found.is_empty(), "no quantiles");
    for quantile in found {
        let rank = (quantile.q * stays.len() as f64 - 1e-9).ceil() as usize;
        let (least, most) = (least[rank - 1], most[rank - 1]);
        let bounds = quantile.ge_ns <= most && least <= quantile.le_ns;
        let close = quantile.ns <= most + most / 16 + 1 && quantile.ns + least / 16 + 1 >= least;
        ensure!(
            bounds && close,
            "{quantile:?}, but the truth is {least} to {most} ns"
        );
    }
    Ok(())
}

/// A stay in CLOSE_WAIT, and the truth about the socket.
#[derive(Debug, Clone)]
pub struct Stayed {
    /// The process, as it was when the socket became its own.
    pub whose: Whose,
    pub side: Side,
    pub socket: Socket,
    pub stay: Stay,
}

impl Stayed {
    /// The key by the owner's name.
    pub fn comm(&self) -> Value {
        json!({ "comm": self.whose.comm })
    }

    /// The key by the remote address.
    pub fn remote(&self) -> Value {
        let remote = self.socket.remote.map(|remote| remote.ip().to_canonical());
        json!({ "remote": { "address": remote } })
    }

    /// The key by the port that the client connected to.
    pub fn port(&self) -> Value {
        let port = match self.side {
            Side::Server => Some(self.socket.local.port()),
            Side::Client => self.socket.remote.map(|remote| remote.port()),
        };
        json!({ "port": port })
    }

    /// The key by the family of the socket.
    pub fn family(&self) -> Value {
        let v4 = self.socket.local.is_ipv4();
        json!({ "family": if v4 { "ipv4" } else { "ipv6" } })
    }
}

/// The peer shuts down, and the actor's end is in CLOSE_WAIT until the actor closes it.
pub fn stay(peer: &mut Actor, its: i32, actor: &mut Actor, fd: i32) -> Result<Stay> {
    let before = peer.time(&Order::Shutdown { fd: its })?;
    let state = CLOSE_WAIT;
    let entered = actor.time(&Order::Await { fd, state })?;
    let leaving = actor.time(&Order::Close { fds: vec![fd] })?;
    let stay = Stay::between((before, entered), (leaving, monotonic_ns()));
    peer.tell(&Order::Close { fds: vec![its] })?;
    Ok(stay.give_or_take(exact_ns()))
}

/// Makes `count` connections of a stage, whose ends on one side are in CLOSE_WAIT for a while.
pub fn stays(stage: &mut Stage, family: Family, side: Side, count: usize) -> Result<Vec<Stayed>> {
    let pairs = stage.connect(family, count)?;
    let how = match side {
        Side::Client => How::Connect,
        Side::Server => How::Accept,
    };
    let whose = Whose::of(stage.actor(side).pid(), how)?;
    let mut all = Vec::new();
    for pair in pairs {
        let (client, server) = (&mut stage.client, &mut stage.server);
        let stay = match side {
            Side::Server => stay(client, pair.client.fd, server, pair.server.fd)?,
            Side::Client => stay(server, pair.server.fd, client, pair.client.fd)?,
        };
        all.push(Stayed {
            whose: whose.clone(),
            side,
            socket: pair.end(side).clone(),
            stay,
        });
    }
    Ok(all)
}

/// Makes `count` stays in CLOSE_WAIT of an extra actor, which connects to the stage's server.
pub fn stays_of(stage: &mut Stage, actor: &mut Actor, count: usize) -> Result<Vec<Stayed>> {
    let address = stage.listener(Family::Ipv4).local;
    let whose = Whose::of(actor.pid(), How::Connect)?;
    let mut all = Vec::new();
    for _ in 0..count {
        let socket = actor.socket(&Order::Connect { address, count: 1 })?;
        let mut servers = stage.accept(Family::Ipv4, 1)?;
        let server = servers.pop().context("nothing was accepted")?;
        all.push(Stayed {
            whose: whose.clone(),
            side: Side::Client,
            stay: stay(&mut stage.server, server.fd, actor, socket.fd)?,
            socket,
        });
    }
    Ok(all)
}

/// Checks that a report has all of these stays in CLOSE_WAIT under these keys, and nothing else.
pub fn exactly(report: &Report, stays: &[Stayed], key: impl Fn(&Stayed) -> Value) -> Result<()> {
    let mut keys: Vec<Value> = Vec::new();
    for one in stays {
        let key = key(one);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let mut findings = Findings::default();
    for wanted in &keys {
        let of_key = stays.iter().filter(|one| key(one) == *wanted);
        let of_key: Vec<_> = of_key.map(|one| one.stay).collect();
        let found = report.keyed("CLOSE_WAIT", Some(wanted))?;
        let right = agrees(&found.finished, &of_key)
            .and_then(|()| quantiles_agree(&found.quantiles, &of_key));
        findings.take(right.with_context(|| wanted.to_string()));
    }
    findings.done()?;
    let finished = report.sum("CLOSE_WAIT", |one| one.finished.count);
    ensure!(finished == stays.len() as u64, "others: {report:#?}");
    ensure!(
        report.keys.count == keys.len() as u64 && report.keys.other == 0,
        "{:?}, not {}: {report:#?}",
        report.keys,
        keys.len()
    );
    Ok(())
}

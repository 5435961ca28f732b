//! What is read about the processes of stuck sockets, by who has given up what `stuck` gives up.

use std::{
    collections::HashMap,
    env,
    process::{self, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tcptrace::{
    model::{
        cause::{Asked, Clues, Upstream},
        sandbox::{Needs, Work},
        socket::Endpoint,
    },
    source::{clues::ClueReader, machine::sandbox::confine},
};
use testbed::{Family, Side, Stage, clock::patience};

use super::attempt_with;
use crate::harness::case::Cases;

/// What to do, for the child.
pub const WHAT: &str = "clues";

/// What the child is told: process, namespace, port of the remote end, then inode and descriptor of each socket.
const TOLD: &str = "TCPTRACE_TEST_CLUES";

/// A setting that no other namespace has.
const KEEPALIVE_S: u32 = 4321;

pub fn add(cases: &mut Cases) {
    cases.add("confined_clues", clues);
}

fn clues() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns();
    netns.set("ipv4/tcp_keepalive_time", &KEEPALIVE_S.to_string())?;
    let (netns, port) = (netns.inode(), stage.listener(Family::Ipv4).local.port());
    let pairs = stage.connect(Family::Ipv4, 3)?;
    let mut told = vec![
        stage.client.pid().to_string(),
        netns.to_string(),
        port.to_string(),
    ];
    for pair in &pairs {
        let socket = pair.end(Side::Client);
        told.extend([socket.inode.to_string(), socket.fd.to_string()]);
    }
    let output = attempt_with(Work::Stuck, WHAT, &[(TOLD, told.join(" "))])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// Reads it confined, and compares.
pub fn child() -> Result<ExitCode> {
    let told = env::var(TOLD)?;
    let told: Vec<u32> = told.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [pid, netns, port, sockets @ ..] = &told[..] else {
        anyhow::bail!("it was told {told:?}");
    };
    let sockets: Vec<_> = sockets
        .chunks_exact(2)
        .map(|one| (one[0], one[1]))
        .collect();
    // A thread of this process sleeps: for how long, is in its memory.
    let own = process::id();
    thread::spawn(|| thread::sleep(Duration::from_secs(100)));
    let asked = Asked {
        processes: [(*pid, sockets.clone()), (own, Vec::new())].into(),
        upstreams_of: [*pid, own].into(),
        namespaces: [*netns].into(),
    };
    let held = confine(&Needs::of(Work::Stuck));
    ensure!(held.is_whole(), "{held:?}");
    let mut reader = ClueReader::default();
    let sleeps = |clues: &Clues| {
        let waits = clues.processes.get(&own)?.waits.as_ref()?;
        waits
            .timed_ns
            .iter()
            .find(|ns| **ns > 50_000_000_000)
            .copied()
    };
    let begun = Instant::now();
    let clues = loop {
        let clues = reader.read(&asked);
        if sleeps(&clues).is_some() || begun.elapsed() > patience() {
            break clues;
        }
    };
    ensure!(sleeps(&clues).is_some(), "no thread sleeps: {clues:?}");
    let keepalive = clues
        .keepalive
        .get(netns)
        .with_context(|| format!("{clues:?}"))?;
    ensure!(keepalive.time_s == KEEPALIVE_S, "{keepalive:?}");
    let found = clues
        .processes
        .get(pid)
        .with_context(|| format!("{clues:?}"))?;
    let remote = Endpoint {
        address: Family::Ipv4.loopback(),
        port: (*port).try_into()?,
    };
    let upstream = Upstream {
        remote,
        count: sockets.len(),
    };
    ensure!(found.upstreams.as_deref() == Some(&[upstream]), "{found:?}");
    ensure!(found.waits.is_some(), "{found:?}");
    ensure!(found.interest == Some(HashMap::new()), "{found:?}");
    ensure!(found.close_on_exec.len() == sockets.len(), "{found:?}");
    ensure!(
        found.descriptors.is_some_and(|all| all.open > 3),
        "{found:?}"
    );
    Ok(ExitCode::SUCCESS)
}

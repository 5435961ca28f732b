//! What the tool writes, where it goes, and what it must not do to a terminal.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testbed::{Family, Order, Stage, clock::patience};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        verdict::{judge, missing},
    },
    run::{
        snapshot::Snapshot,
        tool::{Outcome, Tool},
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("output_hostile_name", hostile_name).here();
    cases.add("output_text", text).here();
    cases.add("output_threshold", threshold).here();
    cases.add("output_limit", limit).here();
    cases.add_in(BOTH, "output_of_the_kernel_side", kernel_side);
}

/// With -vv the kernel side reports what enters and leaves. Without it, nothing.
fn kernel_side(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut talking = Tool::watch(place, netns, &["-vv"])?;
    let mut silent = Tool::watch(place, netns, &["-v"])?;
    talking.fresh()?;
    silent.fresh()?;
    let truths = stage.server_leak(Family::Ipv4, 3)?;
    talking.until("all three", |snapshot| snapshot.sockets.len() == 3)?;
    drop(stage);
    // The namespace has gone with its sockets, so no look makes up for a run that the kernel skipped.
    let skips = |snapshot: &Snapshot| snapshot.tracing.recursion_misses.unwrap_or(0);
    let last = talking.until("none, or as few as runs were skipped", |snapshot| {
        snapshot.sockets.len() as u64 <= skips(snapshot).min(2)
    })?;
    let skipped = skips(&last);
    let remain = missing(last.sockets.len() as u64, || "exits".into());
    judge(skipped, remain)?;
    // A run that the kernel skipped says nothing. The others are printed a moment later.
    let start = Instant::now();
    while (talking.said().matches("kernel: debug out").count() as u64)
        < 3_u64.saturating_sub(skipped)
        && start.elapsed() < patience()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    let said = talking.end()?.stderr;
    let entered = truths.iter().filter(|truth| {
        let line = format!("in: port {} <- {}", truth.local.port(), truth.remote.port());
        said.contains(&line)
    });
    let told = entered.count() + said.matches("kernel: debug out").count().min(3);
    let told = missing(6u64.saturating_sub(told.try_into()?), || said.clone());
    judge(skipped, told)?;
    let said = silent.end()?.stderr;
    ensure!(!said.contains("kernel:"), "{said}");
    Ok(())
}

fn look_as_text(netns: u64, more: &[&str]) -> Result<Outcome> {
    let netns = netns.to_string();
    let mut arguments = vec![
        "stuck",
        "--once",
        "--older-than",
        "0s",
        "--all",
        "--netns",
        &netns,
    ];
    arguments.extend(more);
    Tool::start(Place::AsIs, &arguments)?.wait()?.success()
}

/// A process may give itself any name without NUL. What reaches a terminal or a log must not control it.
fn hostile_name() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, 2)?;
    stage.client_leak(Family::Ipv4, 1)?;
    stage.server.tell(&Order::Rename {
        comm: b"a\x1b[2J\n\r\x07\x7f\t|".to_vec(),
    })?;
    stage.client.tell(&Order::Rename {
        comm: b"\xc2\x9b31m\xff\xfe\xe2\x80\xaeb".to_vec(),
    })?;
    let outcome = look_as_text(stage.netns().inode(), &[])?;
    for (name, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        // Bidirectional overrides are not control characters in Unicode, but they rearrange a line.
        let steers =
            |c: &char| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c);
        let found = text.chars().find(steers);
        ensure!(found.is_none(), "{found:?} on {name}: {text:?}");
    }
    let pid = stage.server.pid().to_string();
    let lines = outcome.stdout.lines().filter(|line| {
        line.split(|c: char| !c.is_numeric())
            .any(|word| word == pid)
    });
    ensure!(
        lines.count() > 0,
        "process {pid} is not named: {}",
        outcome.stdout
    );
    // The JSON stays one line and is valid.
    let snapshot = Tool::look(Place::AsIs, stage.netns().inode(), &[])?;
    ensure!(snapshot.sockets.len() == 3, "{snapshot:#?}");
    Ok(())
}

/// Both ends, the owner and the descriptor of every socket are in the text.
fn text() -> Result<()> {
    let mut stage = Stage::new()?;
    let truths = [
        stage.server_leak(Family::Ipv4, 2)?,
        stage.client_leak(Family::Mapped, 2)?,
    ]
    .concat();
    let outcome = look_as_text(stage.netns().inode(), &[])?;
    for truth in &truths {
        let (pid, _) = truth.holders.first().context("no holder")?;
        let ports = [
            truth.local.port().to_string(),
            truth.remote.port().to_string(),
            pid.to_string(),
        ];
        let line = outcome
            .stdout
            .lines()
            .find(|line| ports.iter().all(|word| line.contains(word)));
        line.with_context(|| format!("no line for {truth:?} in:\n{}", outcome.stdout))?;
    }
    Ok(())
}

/// What has not been stuck for long enough is not reported.
fn threshold() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let arguments = [
        "stuck",
        "--json",
        "--older-than",
        "1500ms",
        "--interval",
        "100ms",
        "--netns",
        &netns,
        "--hook",
        "btf",
    ];
    let mut tool = Tool::start(Place::AsIs, &arguments)?;
    tool.fresh()?;
    let truths = stage.server_leak(Family::Ipv4, 1)?;
    let first = tool.until("the socket", |snapshot| !snapshot.sockets.is_empty())?;
    ensure!(
        first.watched.older_than_ns == 1_500_000_000,
        "{:?}",
        first.watched
    );
    ensure!(
        first.sockets[0].age_ns >= 1_500_000_000,
        "too early: {first:#?}"
    );
    ensure!(
        first.monotonic_ns >= truths[0].before_ns + 1_500_000_000,
        "too early: {first:#?}"
    );
    tool.end()?;
    Ok(())
}

/// A limit shortens the list of sockets, oldest first, but not the counts.
fn limit() -> Result<()> {
    let mut stage = Stage::new()?;
    let truths = stage.server_leak(Family::Ipv4, 5)?;
    let snapshot = Tool::look(Place::AsIs, stage.netns().inode(), &["--limit", "2"])?;
    ensure!(snapshot.sockets.len() == 2, "not two: {snapshot:#?}");
    let counted: usize = snapshot.groups.iter().map(|group| group.sockets).sum();
    ensure!(counted == truths.len(), "the groups count {counted}");
    Ok(())
}

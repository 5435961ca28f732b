//! Exit codes for scripts, silence, and what comes first.

use anyhow::{Result, ensure};
use testbed::{Family, Order, Stage};

use crate::{
    harness::{case::Cases, place::Place},
    run::{snapshot::Snapshot, tool::Tool},
};

pub fn add(cases: &mut Cases) {
    cases.add("fail_over", fail_over).here();
    cases.add("quiet", quiet).here();
    cases.add("sort", sort).here();
}

const COUNT: usize = 3;

fn run(stage: &Stage, words: &str) -> Result<crate::run::tool::Outcome> {
    let netns = stage.netns().inode();
    let words = format!("{words} --netns {netns}");
    let words: Vec<_> = words.split(' ').collect();
    Tool::start(Place::AsIs, &words)?.wait()
}

/// More than N at the last look: those that may be stuck count, the younger do not.
fn fail_over() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, COUNT)?;
    for (words, code) in [
        ("--once --older-than 0s --fail-over 2", 3),
        ("--once --older-than 0s --fail-over 3", 0),
        ("--once --older-than 1h --fail-over 0", 0),
        ("--once --older-than 0s --json --fail-over 2", 3),
        (
            "--older-than 0s --interval 50ms --duration 200ms --fail-over 0",
            3,
        ),
        (
            "--older-than 0s --interval 50ms --duration 200ms --fail-over 3",
            0,
        ),
        ("--once --older-than 0s --fail-over 0 --port 1", 0),
        ("--once --older-than 0s --fail-over 0 --walk nonsense", 2),
    ] {
        let outcome = run(&stage, words)?;
        ensure!(outcome.code()? == code, "{words}: {outcome:?}");
    }
    Ok(())
}

fn quiet() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, COUNT)?;
    for (words, code) in [
        ("--once --older-than 0s --fail-over 2 -q", 3),
        ("--once --older-than 0s --fail-over 3 --quiet", 0),
        (
            "--older-than 0s --interval 50ms --duration 200ms --fail-over 0 -q",
            3,
        ),
    ] {
        let outcome = run(&stage, words)?;
        ensure!(outcome.code()? == code, "{words}: {outcome:?}");
        ensure!(
            outcome.stdout.is_empty() && outcome.stderr.is_empty(),
            "{outcome:?}"
        );
    }
    // Silence without an answer helps nobody.
    let outcome = run(&stage, "--once -q")?;
    ensure!(
        outcome.code()? == 2 && outcome.stderr.contains("--fail-over"),
        "{outcome:?}"
    );
    Ok(())
}

/// The server has more sockets, and older ones; the client more unread bytes.
fn sort() -> Result<()> {
    let mut stage = Stage::new()?;
    stage.server_leak(Family::Ipv4, COUNT)?;
    let pairs = stage.connect(Family::Ipv4, 1)?;
    let fd = pairs[0].server.fd;
    stage.server.tell(&Order::Send { fd, bytes: 1000 })?;
    stage.leak(&pairs, testbed::Side::Client)?;
    let netns = stage.netns().inode();
    let (server, client) = ("server", "client");
    for (by, expected) in [("sockets", server), ("age", server), ("recv-q", client)] {
        let look: Snapshot = Tool::look(Place::AsIs, netns, &["--sort", by])?;
        let first = (&look.groups[0].role[..], &look.sockets[0].role[..]);
        ensure!(first == (expected, expected), "by {by}: {look:#?}");
    }
    Ok(())
}

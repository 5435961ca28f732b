//! The ways in which the tool ends.

use std::{
    collections::BTreeSet,
    fs::{File, read_dir, read_link, read_to_string},
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use testbed::{Family, Order, Stage, Truth, clock::patience};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::{
        hist, log,
        summary::Summary,
        tool::{Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    cases
        .add("stop_by_sigterm", || by_signal(Signal::TERM))
        .here();
    cases
        .add("stop_by_sigint", || by_signal(Signal::INT))
        .here();
    cases.add("stop_by_sigterm_text", by_signal_text).here();
    cases.add("stop_after_duration", after_duration).here();
    cases.add("stop_when_the_pipe_closes", pipe_closes).here();
    cases.add("stop_when_the_disk_is_full", disk_full).here();
    for words in [
        &["stuck", "--interval", "100ms"][..],
        &["states", "--interval", "100ms"],
        &["log"],
        &["hist"],
    ] {
        for place in BOTH {
            let name = format!(
                "stop_by_sigkill_leaves_nothing::{}::{}",
                words[0],
                place.name()
            );
            let case = cases.add(&name, move || by_kill(*place, words));
            // What is freed then does not depend on the command.
            if words[0] != "stuck" {
                case.here();
            }
        }
    }
}

/// That of one socket from before and three new ones, of which two leave the state.
fn summary_in(text: &str) -> Result<()> {
    let wanted = Summary {
        entered: "3".into(),
        left: "2".into(),
        still: "2".into(),
        most: "4".into(),
        before: "1".into(),
    };
    let found = Summary::of(text)?;
    ensure!(found == wanted, "{found:?}, not {wanted:?}: {text:?}");
    Ok(())
}

/// Two of four sockets leave the state.
fn some_go(stage: &mut Stage, before: &[Truth], after: &[Truth]) -> Result<()> {
    let holders = [&before[0], &after[0]].map(|truth| truth.holders.first());
    let fds = holders.into_iter().flatten().map(|(_, fd)| *fd).collect();
    stage.server.tell(&Order::Close { fds })?;
    Ok(())
}

fn by_signal(signal: Signal) -> Result<()> {
    let mut stage = Stage::new()?;
    let before = stage.server_leak(Family::Ipv4, 1)?;
    let mut tool = Tool::watch(Place::Btf, stage.netns().inode(), &[])?;
    tool.fresh()?;
    let after = stage.server_leak(Family::Ipv4, 3)?;
    tool.fresh()?;
    some_go(&mut stage, &before, &after)?;
    tool.fresh()?;
    tool.signal(signal)?;
    let outcome = tool.wait()?.success()?;
    outcome
        .snapshots()
        .context("the rest of standard output is not JSON")?;
    summary_in(&outcome.stderr)
}

/// Waits for a report of this many sockets.
fn headline(tool: &mut Tool, count: usize) -> Result<()> {
    let (start, words) = (Instant::now(), format!("{count} socket"));
    while !tool.line()?.starts_with(&words) {
        ensure!(
            start.elapsed() < patience(),
            "no report begins with {words}"
        );
    }
    Ok(())
}

/// The same with text output: the summary follows the reports.
fn by_signal_text() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let before = stage.server_leak(Family::Ipv4, 1)?;
    let arguments = [
        "--older-than",
        "0s",
        "--interval",
        "100ms",
        "--netns",
        &netns,
    ];
    let mut tool = Tool::start(Place::AsIs, &arguments)?;
    headline(&mut tool, 1)?;
    let after = stage.server_leak(Family::Ipv4, 3)?;
    headline(&mut tool, 4)?;
    some_go(&mut stage, &before, &after)?;
    headline(&mut tool, 2)?;
    tool.signal(Signal::TERM)?;
    summary_in(&tool.wait()?.success()?.stdout)
}

fn after_duration() -> Result<()> {
    let stage = Stage::new()?;
    let start = Instant::now();
    let tool = Tool::watch(Place::Btf, stage.netns().inode(), &["--duration", "500ms"])?;
    let outcome = tool.wait()?.success()?;
    ensure!(start.elapsed() >= Duration::from_millis(500), "ended early");
    ensure!(!outcome.snapshots()?.is_empty(), "no snapshot");
    Ok(())
}

/// Starts the tool with standard output into a pipe that is closed after this many lines.
fn with_closing_pipe(arguments: &[&str], lines: usize) -> Result<(Child, String)> {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Place::AsIs.prepare(&mut command);
    let mut child = command.spawn()?;
    let mut out = BufReader::new(child.stdout.take().context("no stdout")?);
    for _ in 0..lines {
        out.read_line(&mut String::new())?;
    }
    drop(out);
    let mut err = child.stderr.take().context("no stderr")?;
    let start = Instant::now();
    while child.try_wait()?.is_none() && start.elapsed() < patience() {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Has no effect on a process that has ended.
    child.kill()?;
    let mut text = String::new();
    err.read_to_string(&mut text)?;
    Ok((child, text))
}

fn pipe_closes() -> Result<()> {
    let live_json = [
        "stuck",
        "--json",
        "--older-than",
        "0s",
        "--interval",
        "50ms",
    ];
    let live_text = ["stuck", "--older-than", "0s", "--interval", "50ms"];
    let once = ["stuck", "--older-than", "0s", "--once"];
    for (arguments, lines) in [
        (&live_json[..], 1),
        (&live_json, 0),
        (&live_text, 1),
        (&live_text, 0),
        (&once, 0),
    ] {
        let (mut child, text) = with_closing_pipe(arguments, lines)?;
        let status = child.wait()?;
        ensure!(
            status.code() == Some(0),
            "{arguments:?} after {lines} lines: {status}: {text}"
        );
        ensure!(
            !text.contains("panicked") && !text.contains("ipe"),
            "not quiet: {text}"
        );
    }
    Ok(())
}

/// A failed write is an error with a message.
fn disk_full() -> Result<()> {
    let mut command = Command::new(binary());
    command.args(["stuck", "--json", "--once", "--older-than", "0s"]);
    command
        .stdout(File::create("/dev/full")?)
        .stderr(Stdio::piped());
    Place::AsIs.prepare(&mut command);
    let outcome = command.output()?;
    let text = String::from_utf8_lossy(&outcome.stderr);
    ensure!(
        outcome.status.code() == Some(1),
        "{}: {text}",
        outcome.status
    );
    ensure!(!text.is_empty() && !text.contains("panicked"), "{text}");
    Ok(())
}

/// The numbers that follow a word in `/proc/PID/fdinfo`.
fn ids(pid: u32, word: &str) -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for entry in read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may have been closed since.
        let text = read_to_string(entry?.path()).unwrap_or_default();
        let values = text
            .lines()
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(':'));
        ids.extend(values.filter_map(|value| value.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}

/// Those of these that the kernel still has.
fn remaining(programs: &BTreeSet<u32>, links: &BTreeSet<u32>) -> Result<Vec<u32>> {
    let mut left = Vec::new();
    for program in aya::programs::loaded_programs() {
        // A program that disappears after it was listed does not count.
        left.extend(
            program
                .ok()
                .map(|program| program.id())
                .filter(|id| programs.contains(id)),
        );
    }
    for link in aya::programs::loaded_links() {
        left.extend(
            link.ok()
                .map(|link| link.id())
                .filter(|id| links.contains(id)),
        );
    }
    Ok(left)
}

/// After it has been killed, confined as it is, no program and no mount is left, and it held no namespace open.
fn by_kill(place: Place, words: &[&str]) -> Result<()> {
    let mounts = read_to_string("/proc/self/mountinfo")?;
    let mut stage = Stage::new()?;
    stage.never_accepted(Family::Ipv4, 1)?;
    let netns = stage.netns().inode().to_string();
    let mut arguments = [words, &["--json", "--netns", &netns]].concat();
    // What counts by state has no hook.
    if words[0] != "states" {
        arguments.extend(place.arguments());
    }
    let mut tool = Tool::start(place, &arguments)?;
    match words[0] {
        "log" => tool.until_said(log::READY)?,
        "hist" => tool.until_said(hist::READY)?,
        _ => {
            for _ in 0..3 {
                tool.line()?;
            }
        }
    }
    let held = read_dir(format!("/proc/{}/fd", tool.pid()))?;
    let held = held.filter_map(|entry| read_link(entry.ok()?.path()).ok());
    let namespaces: Vec<_> = held
        .filter(|target| target.to_string_lossy().starts_with("net:["))
        .collect();
    // A look may be under way, which has one open at a time.
    ensure!(namespaces.len() <= 1, "it keeps open: {namespaces:?}");
    let (programs, links) = (ids(tool.pid(), "prog_id")?, ids(tool.pid(), "link_id")?);
    ensure!(!programs.is_empty(), "no program is loaded");
    ensure!(
        !remaining(&programs, &links)?.is_empty(),
        "the kernel does not list them"
    );
    tool.signal(Signal::KILL)?;
    let outcome = tool.wait()?;
    ensure!(outcome.status.signal() == Some(9), "{}", outcome.status);
    let start = Instant::now();
    // The kernel frees programs a grace period later.
    while let [first, ..] = remaining(&programs, &links)?[..] {
        ensure!(
            start.elapsed() < patience(),
            "{first} of {programs:?} {links:?} is still loaded"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let now = read_to_string("/proc/self/mountinfo")?;
    ensure!(now == mounts, "a mount is left: {now}");
    Ok(())
}

//! More sockets or lines than there is room for, and an end at a bad moment. What is missing is counted, and what
//! is shown is true.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use testbed::{Family, Order, Span, Stage, clock::slowness, timed};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::within,
        verdict,
    },
    run::{
        line::Transition,
        log::{Log, LogTool},
    },
    truth::churn::{Churn, PAIRS, until_only},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "log_stopped_by_sigterm", sigterm).here();
    cases.add("log_with_a_full_buffer", full_buffer).alone();
    cases.add_in(BOTH, "log_more_than_max_sockets", many_sockets);
    cases
        .add_in(BOTH, "log_of_a_churn", |place| of_churn(place, &[]))
        .alone();
    let many = |place| of_churn(place, &["--max-sockets", "3"]);
    cases
        .add_in(BOTH, "log_of_a_churn_of_more_than_max_sockets", many)
        .alone()
        .here_in(Place::Tracepoint);
}

/// Transitions of both ends of a connection of a churn, as the kernel reports them.
const EACH: usize = 10;

/// Makes `count` connections one after another, and waits until none is left.
fn churn(stage: &mut Stage, count: usize) -> Result<()> {
    let listener = stage.listener(Family::Ipv4).clone();
    let fd = listener.fd;
    stage.server.begin(&Order::ChurnServe { fd, count })?;
    let address = listener.local;
    stage.client.time(&Order::Churn { address, count })?;
    stage.server.finish()?;
    until_only(stage.netns(), 1)
}

fn churning() -> Result<Stage> {
    let stage = Stage::new()?;
    stage.netns().set("ipv4/tcp_max_tw_buckets", "0")?;
    Ok(stage)
}

/// Checks that the log has each of these transitions `count` times, not more often.
fn each_told(log: &Log, moves: &[(&str, &str)], count: usize) -> Result<()> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in &log.transitions {
        *counts.entry((&*line.from, &*line.to)).or_default() += 1;
    }
    let mut missing = 0;
    for one in moves {
        let found = counts.get(one).copied().unwrap_or(0);
        ensure!(found <= count, "{one:?} {found} times: {counts:?}");
        missing += count - found;
    }
    verdict::missing(u64::try_from(missing)?, || {
        format!("{counts:?}, lost {:?}", log.lost)
    })
}

fn sigterm(place: Place) -> Result<()> {
    const COUNT: usize = 300;
    let mut stage = churning()?;
    let tool = LogTool::watch(place, stage.netns().inode(), &[])?;
    churn(&mut stage, COUNT)?;
    let log = tool.end_by(Signal::TERM)?;
    ensure!(
        log.lost
            .iter()
            .all(|line| line.transitions + line.sockets == 0),
        "lost: {:#?}",
        log.lost
    );
    chained(&log)?;
    verdict::judge(log.skipped(), each_told(&log, &OF_BOTH_ENDS, COUNT))
}

/// The transitions of both ends of a connection.
const OF_BOTH_ENDS: [(&str, &str); 9] = [
    ("CLOSE", "SYN_SENT"),
    ("SYN_SENT", "ESTABLISHED"),
    ("SYN_RECV", "ESTABLISHED"),
    ("ESTABLISHED", "FIN_WAIT1"),
    ("ESTABLISHED", "CLOSE_WAIT"),
    ("FIN_WAIT1", "FIN_WAIT2"),
    ("FIN_WAIT2", "CLOSE"),
    ("CLOSE_WAIT", "LAST_ACK"),
    ("LAST_ACK", "CLOSE"),
];

/// The kernel skips runs if every core is busy, and too many sockets find no room. No transition may appear twice, and
/// no more may be missing than the log says was skipped. No other test runs at the same time and causes skipped runs.
fn of_churn(place: Place, arguments: &[&str]) -> Result<()> {
    // In about one of ten million transitions the classic tracepoint does not run its program, and the kernel does not
    // count that: with so few connections that hardly ever happens.
    let count = match place {
        Place::Btf => 4000,
        _ => 1000,
    };
    let count = count / usize::try_from(slowness())?;
    let netns = Churn::netns()?;
    // The buffer has room for everything, however slowly the tool reads it.
    let arguments = [&["--buffer", "64MiB"], arguments].concat();
    let tool = LogTool::watch(place, netns.inode(), &arguments)?;
    let mut churn = Churn::start(netns)?;
    churn.run(count)?;
    let log = tool.end()?;
    ensure!(log.lost_transitions() == 0, "{:?}", log.lost);
    chained(&log)?;
    let told = each_told(&log, &OF_BOTH_ENDS, PAIRS.len() * count);
    verdict::allow(log.skipped(), told)
}

/// Checks that an exact duration begins at the line before. If that line is missing, the duration must begin after
/// the last line that is there.
fn chained(log: &Log) -> Result<()> {
    type Key = (Option<u16>, Option<u16>);
    let mut last: BTreeMap<Key, &Transition> = BTreeMap::new();
    for line in &log.transitions {
        let subject = &line.subject;
        let key = (subject.local.port, subject.remote.port);
        let before = last.insert(key, line).filter(|before| {
            // Ports are reused.
            before.to != "CLOSE" && before.subject.cookie == subject.cookie
        });
        let (Some(before), "exact") = (before, &*line.duration) else {
            continue;
        };
        let spent = line.duration_ns.context("exact, without a duration")?;
        let entered = line.monotonic_ns.checked_sub(spent).context("too long")?;
        let follows = before.to == line.from;
        let right = if follows {
            entered == before.monotonic_ns
        } else {
            entered > before.monotonic_ns
        };
        ensure!(right, "the wrong duration: {before:#?} then {line:#?}");
    }
    Ok(())
}

/// While the tool does not read, it counts every transition that does not fit.
fn full_buffer() -> Result<()> {
    let mut stage = churning()?;
    let arguments = ["--buffer", "64KiB"];
    let tool = LogTool::watch(Place::Btf, stage.netns().inode(), &arguments)?;
    tool.tool.signal(Signal::STOP)?;
    churn(&mut stage, 300)?;
    tool.tool.signal(Signal::CONT)?;
    churn(&mut stage, 20)?;
    let log = tool.end()?;
    ensure!(!log.lost.is_empty(), "the log reports nothing lost");
    let lost = log.lost_transitions();
    let counted = log.transitions.len() as u64 + lost;
    // If the log does not show the copy of a listener, each connection has one line less.
    let copies = log.transitions.iter().any(|line| line.from == "LISTEN");
    let all = 320 * (EACH - usize::from(!copies)) as u64;
    ensure!(
        counted <= all && lost > 0,
        "{counted} of {all}, {lost} lost"
    );
    ensure!(
        log.outcome.stderr.contains(&lost.to_string()),
        "the summary does not say {lost}: {}",
        log.outcome.stderr
    );
    let (client, server) = (stage.client.pid(), stage.server.pid());
    for line in &log.transitions {
        let right = |shown| match &*line.subject.role {
            "client" => shown == client,
            "server" => shown == server,
            // Its beginning was skipped.
            _ => [client, server].contains(&shown),
        };
        ensure!(line.subject.pid.is_none_or(right), "{line:#?}");
    }
    chained(&log)?;
    // A stopped tool cannot attach the second program, which runs where the kernel skips the first.
    let absent = verdict::missing(all - counted, || format!("of {all}"));
    verdict::allow(log.skipped(), absent)
}

/// Owner and durations of sockets that do not fit are unknown, but never wrong.
fn many_sockets(place: Place) -> Result<()> {
    const COUNT: usize = 50;
    let mut stage = Stage::new()?;
    let arguments = ["--max-sockets", "10"];
    let tool = LogTool::watch(place, stage.netns().inode(), &arguments)?;
    let (pairs, opened) = timed(|| stage.connect(Family::Ipv4, COUNT))?;
    let fds = pairs.iter().map(|pair| pair.client.fd).collect();
    let (_, closed) = timed(|| stage.client.tell(&Order::Close { fds }))?;
    let fds = pairs.iter().map(|pair| pair.server.fd).collect();
    let (_, closed_too) = timed(|| stage.server.tell(&Order::Close { fds }))?;
    let log = tool.end()?;
    let lost: u64 = log.lost.iter().map(|line| line.sockets).sum();
    ensure!(lost > 0, "the log reports no lost socket: {:?}", log.lost);
    ensure!(log.lost_transitions() == 0, "{:?}", log.lost);
    let (client, server) = (stage.client.pid(), stage.server.pid());
    let port = stage.listener(Family::Ipv4).local.port();
    for line in &log.transitions {
        let right = || -> Result<()> {
            let of_client = line.subject.remote.port == Some(port);
            let pid = if of_client { client } else { server };
            ensure!(line.subject.pid.is_none_or(|shown| shown == pid), "wrong");
            let role = if of_client { "client" } else { "server" };
            ensure!([role, "unknown"].contains(&&*line.subject.role), "role");
            let entered = match (&*line.duration, line.duration_ns) {
                ("exact", Some(spent)) => line.monotonic_ns.checked_sub(spent),
                ("unknown", None) => return Ok(()),
                // There was room again when a process accepted it.
                ("at_least", Some(spent)) => {
                    let bound = line.monotonic_ns.checked_sub(spent).context("too long")?;
                    ensure!(bound >= opened.before_ns, "longer than it was open");
                    return Ok(());
                }
                other => anyhow::bail!("wrong duration: {other:?}"),
            };
            let entered = entered.context("too long")?;
            let all = Span {
                before_ns: opened.before_ns,
                ..closed_too
            };
            within(
                entered,
                if line.from == "ESTABLISHED" {
                    opened
                } else {
                    all
                },
            )?;
            // The socket cannot have entered the state before the close.
            let begun = ["FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK"];
            ensure!(
                !begun.contains(&&*line.from) || entered >= closed.before_ns,
                "entered too early"
            );
            Ok(())
        };
        right().with_context(|| format!("{line:#?}"))?;
    }
    let moves = [("SYN_SENT", "ESTABLISHED"), ("CLOSE_WAIT", "LAST_ACK")];
    verdict::judge(log.skipped(), each_told(&log, &moves, COUNT))
}

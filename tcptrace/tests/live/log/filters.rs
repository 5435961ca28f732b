//! Filters of a log: each must leave exactly the matching lines of an unfiltered log.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use testbed::{Actor, Family, Order, Stage, state::FIN_WAIT2};

use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        place::Place,
        verdict::{self, Findings, Ignored, missing},
    },
    log::check::{self, Accepts},
    run::{
        line::Transition,
        log::{Log, LogTool},
    },
    truth::{openings, scene::Scene},
};

pub fn add(cases: &mut Cases) {
    cases.add("log_filters", filters).here();
    cases.add("log_filter_cgroup", cgroup);
    // Where the kernel cannot look up ancestors (5.10), such lines are left out, and counted.
    cases
        .add("log_filter_cgroup_that_has_gone", gone_cgroup)
        .here();
    cases.add("log_without_a_filter", all_namespaces);
}

type Fits = Box<dyn Fn(&Transition) -> bool>;

/// The parts of a line to compare: the cookie, the states, the ports, the owner, the caller.
type Essence = (
    Option<u64>,
    [String; 2],
    [Option<u16>; 2],
    (Option<u32>, String, Option<u32>),
    Option<u32>,
);

/// The parts of a line that two logs must agree on. Each log has read the clock itself, so times differ.
fn essence(line: &Transition) -> Essence {
    let subject = &line.subject;
    // The thread of a listener from before the log is unknown.
    let tid = subject.tid.filter(|_| subject.owner != "listener");
    (
        subject.cookie,
        [line.from.clone(), line.to.clone()],
        [subject.local.port, subject.remote.port],
        (subject.pid, subject.owner.clone(), tid),
        line.caller.as_ref().and_then(|caller| caller.pid),
    )
}

/// Compares line by line, in the order of each socket.
fn same(all: &Log, some: &Log, fits: &Fits) -> Result<()> {
    let mut expected: Vec<_> = all.transitions.iter().filter(|line| fits(line)).collect();
    let mut found: Vec<_> = some.transitions.iter().collect();
    // The order of lines of different sockets may differ.
    expected.sort_by_key(|line| line.subject.cookie);
    found.sort_by_key(|line| line.subject.cookie);
    let expected: Vec<_> = expected.into_iter().map(essence).collect();
    let found: Vec<_> = found.into_iter().map(essence).collect();
    if found == expected {
        return Ok(());
    }
    let without = |lines: &[Essence], others: &[Essence]| -> Vec<Essence> {
        let lines = lines.iter().filter(|line| !others.contains(line));
        lines.cloned().collect()
    };
    let (absent, others) = (without(&expected, &found), without(&found, &expected));
    let what = format!("absent: {absent:#?}\nunexpected: {others:#?}");
    ensure!(
        !absent.is_empty() || !others.is_empty(),
        "in another order: {found:#?}"
    );
    // A run that is skipped in either log makes the lines of one socket differ.
    let sockets = absent.iter().chain(&others).map(|line| line.0);
    let sockets = sockets.collect::<BTreeSet<_>>().len() as u64;
    missing(sockets, || what)
}

fn list(scene: &mut Scene) -> Vec<(String, Fits)> {
    let client = scene.stage.client.pid();
    let port = scene.address().port();
    let of = |line: &Transition, pid: u32| line.subject.pid == Some(pid);
    let named = |line: &Transition, comm: &str| line.subject.comm.as_deref() == Some(comm);
    let loopback = |line: &Transition| {
        let address = line.subject.remote.address.to_canonical();
        matches!(address, IpAddr::V4(v4) if v4.is_loopback())
    };
    let mut all: Vec<(String, Fits)> = Vec::new();
    let mut add = |words: String, fits: Fits| all.push((words, fits));
    add(format!("--pid {client}"), Box::new(move |l| of(l, client)));
    // Its children start later and have this name.
    let family = move |l: &Transition| of(l, client) || named(l, "connector");
    add(format!("--pid {client} --children"), Box::new(family));
    let workers = move |l: &Transition| named(l, "worker-one") || named(l, "worker-two");
    add("--comm worker-one,worker-two".into(), Box::new(workers));
    let ports =
        move |l: &Transition| [l.subject.local.port, l.subject.remote.port].contains(&Some(port));
    add(format!("--port {port}"), Box::new(ports));
    add("--remote 127.0.0.0/8".into(), Box::new(loopback));
    let family = |l: &Transition| l.subject.family == "ipv6";
    add("--family ipv6".into(), Box::new(family));
    let either = |l: &Transition| {
        let states = ["SYN_SENT", "LAST_ACK"];
        states.contains(&&*l.from) || states.contains(&&*l.to)
    };
    add("--state SYN_SENT,LAST_ACK".into(), Box::new(either));
    all
}

fn filters() -> Result<()> {
    let stage = Stage::new()?;
    let netns = stage.netns().inode();
    let unfiltered = LogTool::watch(Place::Btf, netns, &[])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    let (filters, mut tools) = (list(&mut scene), Vec::new());
    let netns = netns.to_string();
    for (words, _) in &filters {
        let mut arguments = vec!["--json", "--netns", &netns];
        arguments.extend(words.split(' '));
        tools.push(LogTool::begin(Place::Btf, &arguments)?);
    }
    let tools = tools.into_iter().map(LogTool::ready);
    let tools = tools.collect::<Result<Vec<_>>>()?;
    for case in &openings::ALL[..4] {
        case(&mut scene)?;
    }
    // The first listener is older than the filtered logs. Its scene is not finished, so that no log has its close.
    let (stage, _) = (scene.stage, scene.told);
    let mut scene = Scene::new(stage, Family::Ipv6)?;
    openings::ALL[0](&mut scene)?;
    for tool in &tools {
        tool.tool.signal(Signal::INT)?;
    }
    let logs = tools
        .into_iter()
        .map(|tool| tool.finish()?.lossless())
        .collect::<Result<Vec<_>>>()?;
    let mut all = unfiltered.end()?.lossless()?;
    // Only the unfiltered log has seen the first listener begin to listen.
    let listened = all.transitions.iter().position(|line| line.to == "LISTEN");
    all.transitions.remove(listened.context("no listener")?);
    let mut findings = Findings::default();
    for ((words, fits), log) in filters.iter().zip(&logs) {
        ensure!(
            all.transitions.iter().any(fits),
            "no line matches {words}: the filter is not tested"
        );
        findings.take(same(&all, log, fits).with_context(|| words.clone()));
    }
    let skipped = logs.iter().map(Log::skipped).sum::<u64>() + all.skipped();
    verdict::judge(skipped, findings.done())
}

/// Tests a log of every namespace of the machine: these two and all others.
fn all_namespaces() -> Result<()> {
    let (one, two) = (Stage::new()?, Stage::new()?);
    let tool = LogTool::start(Place::AsIs, &["--json"])?;
    let mut told = Vec::new();
    for stage in [one, two] {
        let netns = stage.netns().inode();
        let mut scene = Scene::new(stage, Family::Ipv4)?;
        openings::ALL[0](&mut scene)?;
        told.push((netns, scene.finish()?));
    }
    let log = tool.end()?.lossless()?;
    for (netns, (_stage, histories)) in &told {
        check::all(&log, *netns, histories, Accepts::Known)?;
    }
    Ok(())
}

fn cgroup() -> Result<()> {
    let group = Cgroup::new("log").map_err(Ignored::because)?;
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut inside = Actor::start(stage.netns(), "inside-group")?;
    group.take(inside.pid())?;
    let all = LogTool::watch(Place::Btf, netns, &[])?;
    let filtered = LogTool::watch(Place::Btf, netns, &["--cgroup", &group.path])?;
    let (address, count) = (stage.listener(Family::Ipv4).local, 1);
    let fd = inside.socket(&Order::Connect { address, count })?.fd;
    stage.client.socket(&Order::Connect { address, count })?;
    stage.accept(Family::Ipv4, 2)?;
    inside.tell(&Order::Shutdown { fd })?;
    let state = FIN_WAIT2;
    inside.tell(&Order::Await { fd, state })?;
    let (filtered, all) = (filtered.end()?.lossless()?, all.end()?.lossless()?);
    let pid = inside.pid();
    drop(inside);
    let mine = |line: &&Transition| line.subject.pid == Some(pid);
    for line in all.transitions.iter().filter(mine) {
        let shown = line.subject.cgroup.as_ref();
        ensure!(shown == Some(&group.path), "not {}: {line:#?}", group.path);
    }
    let fits: Fits = Box::new(move |line| line.subject.pid == Some(pid));
    ensure!(all.transitions.iter().any(&fits), "no line of the group");
    let skipped = all.skipped() + filtered.skipped();
    verdict::judge(skipped, same(&all, &filtered, &fits))
}

/// A group below the wanted one is gone before tcptrace can ask for its path.
fn gone_cgroup() -> Result<()> {
    let group = Cgroup::new("log-goes").map_err(Ignored::because)?;
    let stage = Stage::new()?;
    let netns = stage.netns().inode();
    let mut inside = Actor::start(stage.netns(), "inside-group")?;
    let all = LogTool::watch(Place::Btf, netns, &[])?;
    let filtered = LogTool::watch(Place::Btf, netns, &["--cgroup", &group.path])?;
    let (address, count) = (stage.listener(Family::Ipv4).local, 1);
    filtered.tool.signal(Signal::STOP)?;
    let goes = group.below("goes")?;
    goes.take(inside.pid())?;
    inside.socket(&Order::Connect { address, count })?;
    group.take(inside.pid())?;
    drop(goes);
    filtered.tool.signal(Signal::CONT)?;
    let (filtered, all) = (filtered.end()?.lossless()?, all.end()?.lossless()?);
    let pid = inside.pid();
    drop(inside);
    let fits: Fits = Box::new(move |line| line.subject.pid == Some(pid));
    ensure!(all.transitions.iter().any(&fits), "no line of the group");
    let skipped = all.skipped() + filtered.skipped();
    verdict::judge(skipped, same(&all, &filtered, &fits))
}

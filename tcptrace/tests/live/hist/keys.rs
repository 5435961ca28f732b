//! The keys that split durations.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::{Actor, Family, How, Order, Side, Stage, Whose};

use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        place::{BOTH, Place},
        verdict::{Findings, Ignored, missing},
    },
    hist::check::{Stayed, agrees, exactly, stay, stays, stays_of},
    run::hist::{Report, end, end_all, judge, start_all, watch, watch_all},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "hist_by_each_part", each_part).here();
    cases
        .add_in(BOTH, "hist_by_pid_tells_lives_apart", lives)
        .here_in(Place::Tracepoint);
    cases.add("hist_by_cgroup", by_cgroup);
    cases.add("hist_by_netns", by_netns);
    cases
        .add_in(BOTH, "hist_of_more_keys_than_there_is_room_for", max_keys)
        .here_in(Place::Tracepoint);
}

/// Each key has the right number of durations, and each duration is under its key.
fn each_part(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let words = [
        "--by comm",
        "--by remote",
        "--by port",
        "--by family",
        "--by netns",
        "--by port,comm --by family",
        "--by pid",
    ];
    let tools = watch_all(place, netns, &words)?;
    let mut all = Vec::new();
    for (number, family) in Family::ALL.into_iter().enumerate() {
        all.extend(stays(&mut stage, family, Side::Client, 1 + number)?);
        all.extend(stays(&mut stage, family, Side::Server, 4 + number)?);
    }
    let reports = end_all(place, tools)?;
    let pids = [stage.client.pid(), stage.server.pid()];
    judge(&reports, |reports| {
        let mut findings = Findings::default();
        for (report, words) in reports.iter().zip(words) {
            findings.take(report.lossless());
            let by: Vec<_> = report.by.iter().map(|by| &**by).collect();
            let right = match by[..] {
                ["state", "comm"] => exactly(report, &all, Stayed::comm),
                ["state", "remote"] => exactly(report, &all, Stayed::remote),
                ["state", "port"] => exactly(report, &all, Stayed::port),
                ["state", "family"] => exactly(report, &all, Stayed::family),
                ["state", "netns"] => exactly(report, &all, |_| json!({ "netns": netns })),
                ["state", "comm", "port", "family"] => exactly(report, &all, |one| {
                    joined([one.comm(), one.port(), one.family()])
                }),
                ["state", "pid"] => by_pid(report, &all),
                _ => Err(anyhow::anyhow!("unexpected split: {by:?}")),
            };
            findings.take(right.with_context(|| format!("{words}, processes {pids:?}")));
        }
        findings.done()
    })
}

fn joined(parts: [Value; 3]) -> Value {
    let members = parts.into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        _ => None,
    });
    Value::Object(members.flatten().collect())
}

/// Each process under each of its names is one key.
fn by_pid(report: &Report, all: &[Stayed]) -> Result<()> {
    let ticks = |ns: u64| ns / Whose::TICK_NS;
    let life = |whose: &Whose| (whose.pid, whose.comm.clone(), ticks(whose.started_ns));
    let mut lives: Vec<_> = all.iter().map(|one| life(&one.whose)).collect();
    lives.sort();
    lives.dedup();
    let mut findings = Findings::default();
    for of in &lives {
        let stays = all.iter().filter(|one| life(&one.whose) == *of);
        let stays: Vec<_> = stays.map(|one| one.stay).collect();
        let mut found = report.of("CLOSE_WAIT").filter(|histogram| {
            let key = histogram.key.as_ref();
            key.is_some_and(|key| {
                let started = key["started_ns"].as_u64().unwrap_or(0);
                key["pid"] == of.0 && key["comm"] == of.1 && ticks(started) == of.2
            })
        });
        let right = match (found.next(), found.next()) {
            (Some(one), None) => agrees(&one.finished, &stays),
            (None, _) => missing(stays.len() as u64, || format!("{report:#?}")),
            _ => Err(anyhow::anyhow!("twice: {report:#?}")),
        };
        findings.take(right.with_context(|| format!("{of:?}")));
    }
    findings.done()?;
    let keys = report.of("CLOSE_WAIT").count();
    ensure!(keys == lives.len(), "not {lives:?}: {report:#?}");
    Ok(())
}

/// A process that changes its name, one that becomes another program, and one that gets another's PID.
fn lives(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let tool = watch(place, stage.netns().inode(), "--by pid")?;
    let mut all = Vec::new();
    let mut actor = Actor::start(stage.netns(), "caterpillar")?;
    all.extend(stays_of(&mut stage, &mut actor, 1)?);
    let comm = b"chrysalis".to_vec();
    actor.tell(&Order::Rename { comm })?;
    all.extend(stays_of(&mut stage, &mut actor, 2)?);
    // The name at the time of connecting counts.
    let address = stage.listener(Family::Ipv4).local;
    let socket = actor.socket(&Order::Connect { address, count: 1 })?;
    let server = stage.accept(Family::Ipv4, 1)?.pop().context("nobody")?;
    let whose = Whose::of(actor.pid(), How::Connect)?;
    ensure!(whose.comm == "chrysalis", "{whose:?}");
    let (comm, fds) = ("butterfly".into(), vec![socket.fd]);
    actor.tell(&Order::Become { comm, fds })?;
    all.push(Stayed {
        whose,
        side: Side::Client,
        stay: stay(&mut stage.server, server.fd, &mut actor, socket.fd)?,
        socket,
    });
    all.extend(stays_of(&mut stage, &mut actor, 1)?);
    let pid = actor.pid();
    drop(actor);
    // The truth does not distinguish starts that are closer together.
    std::thread::sleep(Duration::from_nanos(3 * Whose::TICK_NS));
    match Actor::start_as(stage.netns(), "butterfly", pid)? {
        Some(mut second) => all.extend(stays_of(&mut stage, &mut second, 3)?),
        None => println!("no process got the PID {pid} again: only names are tested"),
    }
    end(place, tool, |report| by_pid(report, &all))
}

fn by_cgroup() -> Result<()> {
    let group = Cgroup::new("hist-by").map_err(Ignored::because)?;
    let mut stage = Stage::new()?;
    let mut inside = Actor::start(stage.netns(), "inside")?;
    group.take(inside.pid())?;
    let tool = watch(Place::Btf, stage.netns().inode(), "--by cgroup")?;
    let mut all = stays_of(&mut stage, &mut inside, 3)?;
    all.extend(stays(&mut stage, Family::Ipv4, Side::Server, 2)?);
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", stage.server.pid()))?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.context("no control group")?.to_owned();
    let pid = inside.pid();
    let key =
        |one: &Stayed| json!({ "cgroup": if one.whose.pid == pid { &group.path } else { &own } });
    // The tool looks up the group's path at the end: the group must still exist then.
    let right = end(Place::Btf, tool, |report| exactly(report, &all, key));
    drop(inside);
    right
}

/// Two namespaces, with the same names in both.
fn by_netns() -> Result<()> {
    let mut stages = [Stage::new()?, Stage::new()?];
    let pids: Vec<_> = stages
        .iter()
        .map(|stage| stage.server.pid().to_string())
        .collect();
    let words = format!("--json --by netns,comm --pid {}", pids.join(","));
    let tools = start_all(Place::Btf, &[words])?;
    let mut all = Vec::new();
    for (stage, count) in stages.iter_mut().zip([2, 3]) {
        all.extend(stays(stage, Family::Ipv6, Side::Server, count)?);
    }
    let first = stages[0].server.pid();
    let [one, two] = stages.each_ref().map(|stage| stage.netns().inode());
    let key = |stayed: &Stayed| {
        let netns = if stayed.whose.pid == first { one } else { two };
        json!({ "netns": netns, "comm": "leaky-server" })
    };
    judge(&end_all(Place::Btf, tools)?, |reports| {
        reports[0].lossless()?;
        exactly(&reports[0], &all, key)
    })
}

/// Two keys are kept. The others are one key, and the report says so.
fn max_keys(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let words = format!("--netns {netns} --by remote --max-keys 2");
    let tools = start_all(place, &[format!("--json {words}"), words])?;
    let anywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let (address, backlog) = (anywhere, 16);
    let order = Order::Listen { address, backlog };
    let listener = stage.server.socket(&order)?;
    let mut all = Vec::new();
    for number in 1..=REMOTES {
        let address = SocketAddr::new(Ipv4Addr::new(127, 0, 0, number).into(), 0);
        let address = SocketAddr::new(address.ip(), listener.local.port());
        for _ in 0..number {
            let socket = stage.client.socket(&Order::Connect { address, count: 1 })?;
            let (fd, count) = (listener.fd, 1);
            let server = stage.server.socket(&Order::Accept { fd, count })?;
            all.push(Stayed {
                whose: Whose::of(stage.client.pid(), How::Connect)?,
                side: Side::Client,
                stay: stay(&mut stage.server, server.fd, &mut stage.client, socket.fd)?,
                socket,
            });
        }
    }
    let mut tools = tools.into_iter();
    let (Some(json), Some(text)) = (tools.next(), tools.next()) else {
        anyhow::bail!("no tools");
    };
    let text = text.end()?.stdout;
    end(place, json, |report| two_and_the_rest(report, &text, &all))
}

const REMOTES: u8 = 5;

fn two_and_the_rest(report: &Report, text: &str, all: &[Stayed]) -> Result<()> {
    let remotes = |numbers: std::ops::RangeInclusive<u8>| -> Vec<_> {
        let of = |one: &&Stayed| match one.socket.remote.map(|remote| remote.ip()) {
            Some(std::net::IpAddr::V4(v4)) => numbers.contains(&v4.octets()[3]),
            _ => false,
        };
        all.iter().filter(of).map(|one| one.stay).collect()
    };
    let mut findings = Findings::default();
    for number in [1, 2] {
        let key = json!({ "remote": { "address": format!("127.0.0.{number}") } });
        let found = report.keyed("CLOSE_WAIT", Some(&key))?;
        findings.take(agrees(&found.finished, &remotes(number..=number)));
    }
    let rest = remotes(3..=REMOTES);
    let found = report.keyed("CLOSE_WAIT", None)?;
    findings.take(agrees(&found.finished, &rest).context("the rest"));
    findings.done()?;
    let keys = report.keys;
    ensure!(
        (keys.count, keys.max, keys.other) == (2, 2, rest.len() as u64)
            && report.histograms.len() == 3,
        "{report:#?}"
    );
    let said = format!("{} durations found no room", rest.len());
    let rest = format!("{} closed", rest.len());
    let mut below = text.lines().skip_while(|line| *line != "CLOSE_WAIT  other");
    ensure!(
        text.contains(&said) && below.nth(1).is_some_and(|line| line.contains(&rest)),
        "it does not say so:\n{text}"
    );
    Ok(())
}

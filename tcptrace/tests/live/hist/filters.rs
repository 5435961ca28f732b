//! Filters of histograms: each must leave exactly the durations that match it, also those of sockets from before.

use anyhow::{Context, Result, ensure};
use testbed::{Actor, Family, How, Order, Side, Stage, Whose};

use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        place::Place,
        verdict::{Findings, Ignored, missing},
    },
    hist::check::{Stay, Stayed, agrees, stays, stays_of},
    run::{
        hist::{Report, end, end_all, judge, watch, watch_all},
        tool::Tool,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("hist_filters", filters).here();
    cases.add("hist_filter_children", children);
    cases.add("hist_filter_cgroup", cgroup);
    cases.add("hist_usage_errors", usage_errors).here();
}

type Fits = Box<dyn Fn(&Stayed) -> bool>;

fn list(stage: &Stage) -> Vec<(String, Fits)> {
    let (client, server) = (stage.client.pid(), stage.server.pid());
    let port = stage.listener(Family::Ipv4).local.port();
    let other = stage.listener(Family::Mapped).local.port();
    let remote = |one: &Stayed| one.socket.remote.map(|remote| remote.ip().to_canonical());
    let ports = move |one: &Stayed| {
        let remote = one.socket.remote.map_or(0, |remote| remote.port());
        [one.socket.local.port(), remote]
    };
    let mut all: Vec<(String, Fits)> = Vec::new();
    let mut add = |words: String, fits: Fits| all.push((words, fits));
    let of = |pid: u32| -> Fits { Box::new(move |one| one.whose.pid == pid) };
    add(format!("--pid {client}"), of(client));
    add(format!("--pid {server} --family ipv6"), {
        Box::new(move |one| one.whose.pid == server && one.socket.local.is_ipv6())
    });
    add("--comm leaky-server,nobody".into(), of(server));
    add(format!("--port {port}"), {
        Box::new(move |one| ports(one).contains(&port))
    });
    add(format!("--port {port},{other}"), {
        Box::new(move |one| ports(one).iter().any(|has| [port, other].contains(has)))
    });
    // Also v4-mapped addresses.
    add("--remote 127.0.0.0/8".into(), {
        Box::new(move |one| remote(one).is_some_and(|remote| remote.is_ipv4()))
    });
    add("--remote ::1".into(), {
        Box::new(move |one| remote(one).is_some_and(|remote| remote.is_ipv6()))
    });
    let v4: Fits = Box::new(|one| one.socket.local.is_ipv4());
    add("--family ipv4".into(), v4);
    let v6: Fits = Box::new(|one| one.socket.local.is_ipv6());
    add("--family ipv6 --by comm".into(), v6);
    let nobody: Fits = Box::new(|_| false);
    add("--comm nobody".into(), nobody);
    all
}

/// A leak from before the start, with the parts that filters use.
fn leaks(stage: &mut Stage, family: Family, side: Side, count: usize) -> Result<Vec<Stayed>> {
    let pairs = stage.connect(family, count)?;
    let truths = stage.leak(&pairs, side)?;
    let whose = Whose::of(stage.actor(side).pid(), How::Connect)?;
    let leak = |(pair, truth): (&testbed::Pair, &testbed::Truth)| {
        let moment = (truth.before_ns, truth.after_ns);
        Stayed {
            whose: whose.clone(),
            side,
            socket: pair.end(side).clone(),
            stay: Stay::between(moment, moment),
        }
    };
    Ok(pairs.iter().zip(&truths).map(leak).collect())
}

fn filters() -> Result<()> {
    let mut stage = Stage::new()?;
    let (mut before, mut open) = (Vec::new(), Vec::new());
    for side in [Side::Client, Side::Server] {
        for family in Family::ALL {
            before.extend(leaks(&mut stage, family, side, 1)?);
            open.extend(leaks(&mut stage, family, side, 2)?);
        }
    }
    let filters = list(&stage);
    let words: Vec<_> = filters.iter().map(|(words, _)| &**words).collect();
    let tools = watch_all(Place::Btf, stage.netns().inode(), &words)?;
    let mut all = Vec::new();
    for (number, family) in Family::ALL.into_iter().enumerate() {
        all.extend(stays(&mut stage, family, Side::Client, 1 + number)?);
        all.extend(stays(&mut stage, family, Side::Server, 4 + number)?);
    }
    for old in &before {
        let fds = vec![old.socket.fd];
        stage.actor(old.side).tell(&Order::Close { fds })?;
    }
    judge(&end_all(Place::Btf, tools)?, |reports| {
        let mut findings = Findings::default();
        for ((words, fits), report) in filters.iter().zip(reports) {
            findings.take(report.lossless());
            let right = only(report, [&all, &before, &open], fits);
            findings.take(right.with_context(|| words.clone()));
        }
        findings.done()
    })
}

/// Checks that what has ended, what began before the start and what is still open is counted if it matches the
/// filter, and only then.
fn only(report: &Report, [all, before, open]: [&[Stayed]; 3], fits: &Fits) -> Result<()> {
    let count = |list: &[Stayed]| list.iter().filter(|one| fits(one)).count() as u64;
    let expected = [count(all), count(before), count(open)];
    let found = [
        report.sum("CLOSE_WAIT", |one| one.finished.count),
        report.sum("CLOSE_WAIT", |one| one.at_least.count),
        report.sum("CLOSE_WAIT", |one| one.so_far.at_least.count),
    ];
    let absent =
        (expected.iter().zip(found)).map(|(expected, found)| expected.saturating_sub(found));
    missing(absent.sum(), || format!("of {expected:?}: {report:#?}"))?;
    ensure!(
        found == expected,
        "{found:?}, not {expected:?}: {report:#?}"
    );
    if let ([one], 1) = (&report.histograms[..], report.by.len()) {
        let stays = all.iter().filter(|one| fits(one)).map(|one| one.stay);
        agrees(&one.finished, &stays.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Descendants that start later are followed, too.
fn children() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let client = stage.client.pid();
    let words = [
        format!("--pid {client} --by comm"),
        format!("--pid {client} --children --by comm"),
    ];
    let tools = watch_all(Place::Btf, netns, &[&words[0], &words[1]])?;
    let worker = stage.client.worker("descendant", &[])?;
    let address = stage.listener(Family::Ipv4).local;
    let connect = Order::Connect { address, count: 2 };
    let sockets = stage.client.sockets(&connect.by(worker))?;
    let servers = stage.accept(Family::Ipv4, 2)?;
    for server in &servers {
        stage.server.tell(&Order::Shutdown { fd: server.fd })?;
    }
    for socket in &sockets {
        let (fd, state) = (socket.fd, testbed::state::CLOSE_WAIT);
        let order = Order::Await { fd, state };
        stage.client.tell(&order.by(worker))?;
        let close = Order::Close { fds: vec![fd] };
        stage.client.tell(&close.by(worker))?;
    }
    stays(&mut stage, Family::Ipv4, Side::Client, 1)?;
    judge(&end_all(Place::Btf, tools)?, |reports| {
        for (report, expected) in reports.iter().zip([
            &[("leaky-client", 1)][..],
            &[("descendant", 2), ("leaky-client", 1)],
        ]) {
            let finished = report.sum("CLOSE_WAIT", |one| one.finished.count);
            let all: u64 = expected.iter().map(|(_, count)| count).sum();
            missing(all.saturating_sub(finished), || format!("{report:#?}"))?;
            let mut found: Vec<_> = report
                .of("CLOSE_WAIT")
                .map(|one| {
                    let key = one.key.as_ref();
                    let comm = key.and_then(|key| key["comm"].as_str());
                    (comm.unwrap_or("?"), one.finished.count)
                })
                .collect();
            found.sort_unstable();
            ensure!(found == expected, "not {expected:?}: {report:#?}");
        }
        Ok(())
    })
}

/// Sockets of processes inside and outside of a group, from before the start and after it.
fn cgroup() -> Result<()> {
    let group = Cgroup::new("hist").map_err(Ignored::because)?;
    let mut stage = Stage::new()?;
    let mut inside = Actor::start(stage.netns(), "inside-group")?;
    group.take(inside.pid())?;
    // Each process has two sockets from before the start: one is closed, one stays.
    let address = stage.listener(Family::Ipv4).local;
    let mine = inside.sockets(&Order::Connect { address, count: 2 })?;
    for server in stage.accept(Family::Ipv4, 2)? {
        stage.server.tell(&Order::Shutdown { fd: server.fd })?;
    }
    for socket in &mine {
        let (fd, state) = (socket.fd, testbed::state::CLOSE_WAIT);
        inside.tell(&Order::Await { fd, state })?;
    }
    let others = leaks(&mut stage, Family::Ipv4, Side::Client, 2)?;
    let words = format!("--cgroup {}", group.path);
    let tool = watch(Place::Btf, stage.netns().inode(), &words)?;
    let close = |fd| Order::Close { fds: vec![fd] };
    inside.tell(&close(mine[0].fd))?;
    stage.client.tell(&close(others[0].socket.fd))?;
    let all = stays_of(&mut stage, &mut inside, 3)?;
    stays(&mut stage, Family::Ipv4, Side::Client, 2)?;
    stays(&mut stage, Family::Ipv4, Side::Server, 2)?;
    let right = end(Place::Btf, tool, |report| {
        let found = report.only("CLOSE_WAIT")?;
        let stays: Vec<_> = all.iter().map(|one| one.stay).collect();
        agrees(&found.finished, &stays)?;
        let counts = [found.at_least.count, found.so_far.at_least.count];
        // A slow machine may not find the group's path in time, and says so.
        let unknown = report.caveats.iter();
        let unknown = unknown.filter(|one| one.caveat == "unknown_control_groups");
        let unknown: u64 = unknown.filter_map(|one| one.count).sum();
        let absent = 2u64.saturating_sub(counts.iter().sum());
        missing(absent.saturating_sub(unknown), || format!("{report:#?}"))?;
        ensure!(
            counts == [1, 1] || unknown > 0,
            "not one closed and one open from before: {report:#?}"
        );
        Ok(())
    });
    drop(inside);
    right
}

/// An error names what is not possible, before anything starts.
fn usage_errors() -> Result<()> {
    for (words, names) in [
        ("hist --port 1,2,3,4,5,6,7,8,9", &["--port", "9"][..]),
        ("hist --comm sixteen-letters-", &["--comm", "15 bytes"]),
        ("hist --state TIME_WAIT", &["TIME_WAIT", "CLOSE_WAIT"]),
        ("hist --state CLOSE", &["closed", "CLOSE_WAIT"]),
        ("hist --by nonsense", &["nonsense", "remote"]),
        ("hist --cgroup /no/such/group", &["/no/such/group"]),
        ("hist --max-keys 0", &["--max-keys"]),
        ("hist --top 0", &["--top"]),
        ("hist --interval 0s", &["--interval"]),
        ("hist --children", &["--pid"]),
        ("hist --json=5", &["--json=5", "takes no value"]),
        ("hist --state CLOSE_WAIT --all-states", &["--all-states"]),
        ("replay - hist --by nonsense", &["nonsense"]),
        ("replay - hist --interval 1s", &["--interval"]),
    ] {
        let arguments: Vec<_> = words.split(' ').collect();
        let outcome = Tool::start(Place::AsIs, &arguments)?.wait()?;
        let said = names.iter().all(|name| outcome.stderr.contains(name));
        ensure!(
            outcome.code()? == 2 && said && outcome.stdout.is_empty(),
            "{words}: {outcome:?}"
        );
    }
    // Nine are possible for a recording, because the kernel counts nothing there.
    let words = "replay /dev/null hist --port 1,2,3,4,5,6,7,8,9 --comm a,b,c,d,e";
    let arguments: Vec<_> = words.split(' ').collect();
    let outcome = Tool::start(Place::AsIs, &arguments)?.wait()?;
    let code = outcome.code().context("a recording of nothing")?;
    ensure!(code != 2, "{outcome:?}");
    Ok(())
}

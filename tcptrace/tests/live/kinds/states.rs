//! `tcptrace states`: its numbers, held against the kernel's own tables and against what the actors know.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use testbed::{
    Actor, Family, Keeper, Order, Pair, Reply, Side, Stage,
    clock::patience,
    state::{CLOSE_WAIT, FIN_WAIT2},
};

use crate::{
    harness::{case::Cases, place::Place},
    run::{
        states::{Group, States, parse},
        tool::Tool,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("states_are_the_kernels", as_the_kernel_counts);
    cases.add("states_by_each_part", by_each_part);
    cases.add("states_with_filters", with_filters);
    cases.add("states_change", change);
    cases.add("states_of_a_hidden_namespace", hidden_namespace);
    cases.add("states_as_text", as_text);
}

/// How many of each kind.
const ESTABLISHED: usize = 3;
const LEAKED: usize = 4;
const CLOSED: usize = 5;
const TIME_WAIT: usize = 6;
const WAITING: usize = 2;
const HALF_OPEN: usize = 2;
const RESET: usize = 1;

fn clients(pairs: &[Pair]) -> Vec<i32> {
    pairs.iter().map(|pair| pair.client.fd).collect()
}

/// Sockets of all kinds, of several families. On a busy machine the kernel may end one in another way than it was
/// meant; then all is done once more.
fn everything() -> Result<Stage> {
    const TIMES: usize = 3;
    for _ in 1..TIMES {
        let stage = perform()?;
        if settles(&stage, patience() / 4).is_ok() {
            return Ok(stage);
        }
    }
    let stage = perform()?;
    settles(&stage, patience())?;
    Ok(stage)
}

fn perform() -> Result<Stage> {
    let mut stage = Stage::new()?;
    stage.connect(Family::Ipv6, ESTABLISHED)?;
    // CLOSE_WAIT at the server, FIN_WAIT2 at the client.
    let leaked = stage.connect(Family::Ipv4, LEAKED)?;
    stage.leak(&leaked, Side::Server)?;
    // CLOSE_WAIT at the server, and a remainder of the client.
    let closed = stage.connect(Family::Mapped, CLOSED)?;
    stage.leak(&closed, Side::Server)?;
    for pair in &closed {
        // One that is closed before may stay a whole socket, if its acknowledgment comes at a bad moment.
        let (fd, state) = (pair.client.fd, FIN_WAIT2);
        stage.client.time(&Order::Await { fd, state })?;
    }
    let fds = clients(&closed);
    stage.client.tell(&Order::Close { fds })?;
    let ended = stage.connect(Family::Ipv4, TIME_WAIT)?;
    let fds = clients(&ended);
    stage.client.tell(&Order::Close { fds })?;
    for pair in &ended {
        let (fd, state) = (pair.server.fd, CLOSE_WAIT);
        stage.server.time(&Order::Await { fd, state })?;
    }
    let fds = ended.iter().map(|pair| pair.server.fd).collect();
    stage.server.tell(&Order::Close { fds })?;
    // The server's end is reset, the client's stays open.
    let reset = stage.connect(Family::Ipv4, RESET)?;
    let fds = reset.iter().map(|pair| pair.server.fd).collect();
    stage.server.tell(&Order::Reset { fds })?;
    let address = stage.listener(Family::Ipv4).local;
    let count = HALF_OPEN;
    stage.client.tell(&Order::ConnectDeaf { address, count })?;
    stage.queue(Family::Ipv4, WAITING)?;
    for pair in &leaked {
        let (fd, state) = (pair.client.fd, FIN_WAIT2);
        stage.client.time(&Order::Await { fd, state })?;
    }
    Ok(stage)
}

/// Waits until what a process has closed has gone on by itself, when the peer's acknowledgment comes.
fn settles(stage: &Stage, patience: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        let tables = in_tables(stage)?;
        let of = |number: u8| tables.get(&number).copied().unwrap_or(0);
        if (of(5), of(6)) == ((LEAKED + CLOSED) as u64, TIME_WAIT as u64) {
            return Ok(());
        }
        ensure!(start.elapsed() < patience, "it does not settle: {tables:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How many entries the kernel's own tables have, by the number of the state.
fn in_tables(stage: &Stage) -> Result<BTreeMap<u8, u64>> {
    let text = stage.netns().run(|| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}"));
        Ok::<_, std::io::Error>(read("tcp")? + &read("tcp6").unwrap_or_default())
    })??;
    let mut counts = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains("local_address")) {
        let state = line.split_whitespace().nth(3).context("no state")?;
        *counts.entry(u8::from_str_radix(state, 16)?).or_default() += 1;
    }
    Ok(counts)
}

/// Sockets and remainders in the kernel's summary (`sockstat`).
fn in_summary(stage: &Stage) -> Result<(u64, u64)> {
    let text = stage.netns().run(|| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}"));
        Ok::<_, std::io::Error>(read("sockstat")? + &read("sockstat6").unwrap_or_default())
    })??;
    let number = |line: &str, name: &str| -> Option<u64> {
        let line = text.lines().find(|one| one.starts_with(line))?;
        let mut words = line.split(' ').skip_while(|word| *word != name);
        words.nth(1)?.parse().ok()
    };
    let v4 = number("TCP:", "inuse").context("no TCP")?;
    let v6 = number("TCP6:", "inuse").unwrap_or(0);
    Ok((v4 + v6, number("TCP:", "tw").context("no tw")?))
}

/// The kernel's numbers of the states, and what counts towards each.
fn agree(states: &States, tables: &BTreeMap<u8, u64>) -> Result<()> {
    let of = |number: u8| tables.get(&number).copied().unwrap_or(0);
    let pairs = [
        ("ESTABLISHED", 1, 0),
        ("SYN_SENT", 2, 0),
        ("SYN_RECV", 3, states.no_sockets("half_open")),
        ("FIN_WAIT1", 4, 0),
        ("FIN_WAIT2", 5, states.no_sockets("fin_wait2_remainder")),
        ("TIME_WAIT", 6, 0),
        ("CLOSE_WAIT", 8, 0),
        ("LAST_ACK", 9, 0),
        ("LISTEN", 10, 0),
        ("CLOSING", 11, 0),
    ];
    for (state, number, more) in pairs {
        let (shown, kernels) = (states.of(state) + more, of(number));
        ensure!(
            shown == kernels,
            "{state}: {shown}, the kernel has {kernels}"
        );
    }
    Ok(())
}

fn as_the_kernel_counts() -> Result<()> {
    let stage = everything()?;
    let netns = stage.netns().inode();
    let tables = in_tables(&stage)?;
    for way in ["auto", "files", "proc"] {
        let states = States::look(netns, &["--walk", way])?;
        agree(&states, &tables).with_context(|| format!("way {way}"))?;
        let open = states.sockets - states.of("CLOSE");
        let remainders = states.no_sockets("time_wait") + states.no_sockets("fin_wait2_remainder");
        let summary = in_summary(&stage)?;
        ensure!(
            (open, remainders) == summary,
            "way {way}: {open}, {remainders}, not {summary:?}"
        );
        let expected = [
            ("CLOSE_WAIT", LEAKED + CLOSED),
            ("FIN_WAIT2", LEAKED),
            ("TIME_WAIT", TIME_WAIT),
            ("SYN_SENT", HALF_OPEN),
            ("ESTABLISHED", 2 * ESTABLISHED + 2 * WAITING),
        ];
        for (state, count) in expected {
            let shown = states.of(state);
            ensure!(
                shown == count as u64,
                "way {way}: {state} {shown}, not {count}"
            );
        }
        let no_sockets = [
            ("half_open", HALF_OPEN),
            ("fin_wait2_remainder", CLOSED),
            ("time_wait", TIME_WAIT),
        ];
        for (kind, count) in no_sockets {
            let shown = states.no_sockets(kind);
            ensure!(
                shown == count as u64,
                "way {way}: {kind} {shown}, not {count}"
            );
        }
        let residue = if way == "proc" { 0 } else { RESET as u64 };
        ensure!(
            states.residue == residue,
            "way {way}: residue {}",
            states.residue
        );
        roles(&states, &stage, way)?;
    }
    // With the ends of what is no socket.
    let states = States::look(netns, &["--by", "remote,port"])?;
    agree(&states, &tables)
}

/// Every group is of the right process and side.
fn roles(states: &States, stage: &Stage, way: &str) -> Result<()> {
    let server = stage.server.pid();
    for group in &states.groups {
        let is_servers = group.key["pid"] == server;
        let wrong = || format!("way {way}: {group:#?}");
        let (waits, waited) = (group.of("CLOSE_WAIT"), group.of("FIN_WAIT2"));
        ensure!(waits == 0 || is_servers, "{}", wrong());
        ensure!(waits == 0 || group.key["role"] == "server", "{}", wrong());
        ensure!(
            waited == 0 || group.key["pid"] == stage.client.pid(),
            "{}",
            wrong()
        );
        ensure!(waited == 0 || group.key["role"] == "client", "{}", wrong());
    }
    Ok(())
}

/// The groups add up to the whole.
fn adds_up(states: &States) -> Result<()> {
    let sum = |of: fn(&Group) -> u64| states.groups.iter().map(of).sum::<u64>();
    ensure!(sum(|group| group.sockets) == states.sockets, "{states:#?}");
    ensure!(sum(|group| group.residue) == states.residue, "{states:#?}");
    ensure!(
        sum(|group| group.of("CLOSE_WAIT")) == states.of("CLOSE_WAIT"),
        "{states:#?}"
    );
    let no_sockets = |group: &Group| group.not_sockets.iter().map(|one| one.count).sum::<u64>();
    let all: u64 = states.not_sockets.iter().map(|one| one.count).sum();
    let some: u64 = states.groups.iter().map(no_sockets).sum();
    ensure!(some == all, "{states:#?}");
    // The worst come first.
    let worst: Vec<u64> = states
        .groups
        .iter()
        .map(|group| group.of("CLOSE_WAIT"))
        .collect();
    ensure!(worst.is_sorted_by(|a, b| a >= b), "{worst:?}");
    Ok(())
}

fn by_each_part() -> Result<()> {
    let stage = everything()?;
    let netns = stage.netns().inode();
    let (server, port) = (
        stage.server.pid(),
        stage.listener(Family::Ipv4).local.port(),
    );
    adds_up(&States::look(netns, &[])?)?;
    for by in [
        "comm",
        "pid",
        "remote",
        "port",
        "cgroup",
        "container",
        "netns",
        "comm,port",
    ] {
        let states = States::look(netns, &["--by", by])?;
        adds_up(&states).with_context(|| by.to_owned())?;
        ensure!(states.by.join(",") == by, "{:?}", states.by);
        let first = &states.groups[0];
        let right = match by {
            "comm" | "comm,port" => first.key["comm"] == "leaky-server",
            "pid" => first.key["pid"] == server,
            "remote" => first.key["remote"] == "127.0.0.1",
            "port" => [port, stage.listener(Family::Mapped).local.port()]
                .iter()
                .any(|port| first.key["port"] == *port),
            "netns" => first.key["netns"] == netns,
            _ => true,
        };
        ensure!(right, "{by}: {first:#?}");
    }
    Ok(())
}

fn with_filters() -> Result<()> {
    let stage = everything()?;
    let netns = stage.netns().inode();
    let server = stage.server.pid().to_string();
    let all = States::look(netns, &["--pid", &server])?;
    ensure!(all.of("CLOSE_WAIT") == (LEAKED + CLOSED) as u64, "{all:#?}");
    ensure!(
        all.of("FIN_WAIT2") == 0 && all.no_sockets("time_wait") == 0,
        "{all:#?}"
    );
    let by_name = States::look(netns, &["--comm", "leaky-client"])?;
    ensure!(
        by_name.of("CLOSE_WAIT") == 0 && by_name.residue == RESET as u64,
        "{by_name:#?}"
    );
    let port = stage.listener(Family::Mapped).local.port().to_string();
    let by_port = States::look(netns, &["--port", &port])?;
    ensure!(by_port.of("CLOSE_WAIT") == CLOSED as u64, "{by_port:#?}");
    ensure!(
        by_port.no_sockets("fin_wait2_remainder") == CLOSED as u64,
        "{by_port:#?}"
    );
    ensure!(by_port.no_sockets("time_wait") == 0, "{by_port:#?}");
    let by_remote = States::look(netns, &["--remote", "::1"])?;
    ensure!(
        by_remote.of("ESTABLISHED") == 2 * ESTABLISHED as u64,
        "{by_remote:#?}"
    );
    ensure!(by_remote.of("CLOSE_WAIT") == 0, "{by_remote:#?}");
    let other = States::look(netns, &["--family", "ipv6", "--port", &port])?;
    ensure!(other.of("CLOSE_WAIT") == CLOSED as u64, "{other:#?}");
    Ok(())
}

fn change() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let words = ["states", "--json", "--interval", "200ms", "--netns", &netns];
    let mut tool = Tool::start(Place::AsIs, &words)?;
    let change = |states: &States, state: &str| {
        let found = states.states.iter().find(|one| one.state == state);
        found.and_then(|one| one.change)
    };
    let first = parse(&tool.line()?)?;
    ensure!(change(&first, "CLOSE_WAIT").is_none(), "{first:?}");
    stage.server_leak(Family::Ipv4, LEAKED)?;
    let mut sum = 0;
    // At least two looks, of which one saw all of it.
    while sum < LEAKED as i64 {
        let next = parse(&tool.line()?)?;
        sum += change(&next, "CLOSE_WAIT").context("no change")?;
    }
    ensure!(sum == LEAKED as i64, "{sum}");
    let next = parse(&tool.line()?)?;
    ensure!(change(&next, "CLOSE_WAIT") == Some(0), "{next:?}");
    Ok(())
}

fn hidden_namespace() -> Result<()> {
    let stage = Stage::new()?;
    let mut keeper = Actor::start(stage.netns(), "keeper")?;
    let keeps = Order::LeakElsewhere {
        keeper: Keeper::Socket,
    };
    let Reply::Elsewhere(netns, _) = keeper.tell(&keeps)? else {
        anyhow::bail!("no namespace");
    };
    let states = States::look(netns, &["--by", "netns"])?;
    ensure!(states.of("CLOSE_WAIT") == 1, "{states:#?}");
    // The client's end: nobody has it.
    ensure!(states.no_sockets("fin_wait2_remainder") == 1, "{states:#?}");
    Ok(())
}

fn as_text() -> Result<()> {
    let stage = everything()?;
    let netns = stage.netns().inode().to_string();
    let words = ["states", "--once", "--netns", &netns];
    let text = Tool::start(Place::AsIs, &words)?.wait()?.success()?.stdout;
    let first = text.lines().next().context("nothing")?;
    ensure!(first.contains(", 1 residue, 11 remainders"), "{text}");
    let words = |line: Option<&str>| -> Result<Vec<String>> {
        let line = line.context("no such line")?;
        Ok(line.split_whitespace().map(ToOwned::to_owned).collect())
    };
    let heads = words(text.lines().find(|line| line.ends_with("CONNECTION")))?;
    let all = words(text.lines().find(|line| line.ends_with(" all")))?;
    let close_wait = heads.iter().position(|head| head == "CLOSE_WAIT");
    ensure!(
        close_wait.and_then(|at| all.get(at)).map(String::as_str) == Some("9"),
        "{text}"
    );
    ensure!(
        text.contains("6 TIME_WAIT, 5 FIN_WAIT2 of no process"),
        "{text}"
    );
    ensure!(text.contains("\nCLOSE_WAIT: tcptrace --explain"), "{text}");
    ensure!(text.contains("2 connections wait to be accepted"), "{text}");
    ensure!(
        text.contains(&format!("leaky-server[{}]", stage.server.pid())),
        "{text}"
    );
    Ok(())
}

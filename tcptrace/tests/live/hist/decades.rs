//! Durations over four decades, of several processes. Checks each against what the kernel itself writes about it.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::{Actor, How, Netns, Order, Whose, clock::slowness, state::CLOSE_WAIT};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::exact_ns,
        verdict::{Findings, Ignored, missing},
    },
    hist::check::{Stay, agrees, agrees_but_for, apart_ns, quantiles_agree},
    run::hist::{Histogram, Report, end_all, judge, watch_all},
    truth::witness::Witness,
};

pub fn add(cases: &mut Cases) {
    cases
        .add_in(BOTH, "hist_durations_over_four_decades", decades)
        .here();
}

/// A duration, and how many sockets of the first process have it. The second process has one more of each, and so on.
const LENGTHS: [(Duration, usize); 4] = [
    (Duration::ZERO, 30),
    (Duration::from_millis(10), 12),
    (Duration::from_secs(1), 4),
    (Duration::from_secs(10), 2),
];

/// A process that connects to itself.
struct Own {
    actor: Actor,
    whose: Whose,
    port: u16,
    /// Descriptors of both ends, the client's first, by how long the server's end will be in CLOSE_WAIT.
    pairs: [Vec<(i32, i32)>; 4],
    count: usize,
}

impl Own {
    fn new(netns: &Netns, comm: &str, more: usize) -> Result<Self> {
        let mut actor = Actor::start(netns, comm)?;
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let backlog = 256;
        let listener = actor.socket(&Order::Listen { address, backlog })?;
        let (address, fd) = (listener.local, listener.fd);
        let mut count = 0;
        let pairs = LENGTHS.map(|(_, at_first)| -> Result<_> {
            let some = at_first + more;
            count += some;
            let connect = Order::Connect {
                address,
                count: some,
            };
            let clients = actor.sockets(&connect)?;
            let servers = actor.sockets(&Order::Accept { fd, count: some })?;
            let mut pairs = Vec::new();
            for client in clients {
                let mut servers = servers.iter();
                let server = servers.find(|server| server.remote == Some(client.local));
                pairs.push((client.fd, server.context("a stranger was accepted")?.fd));
            }
            Ok(pairs)
        });
        let [a, b, c, d] = pairs;
        Ok(Self {
            whose: Whose::of(actor.pid(), How::Accept)?,
            actor,
            port: address.port(),
            pairs: [a?, b?, c?, d?],
            count,
        })
    }

    fn begin(&mut self, length: usize) -> Result<()> {
        for pair in &self.pairs[length] {
            enter(&mut self.actor, *pair)?;
        }
        Ok(())
    }

    fn end(&mut self, length: usize) -> Result<()> {
        let fds = self.pairs[length].iter().map(|(_, server)| *server);
        let fds = fds.collect();
        self.actor.tell(&Order::Close { fds }).map(drop)
    }

    fn one_by_one(&mut self, length: usize) -> Result<()> {
        for pair in &self.pairs[length] {
            enter(&mut self.actor, *pair)?;
            std::thread::sleep(LENGTHS[length].0);
            let fds = vec![pair.1];
            self.actor.tell(&Order::Close { fds })?;
        }
        Ok(())
    }
}

/// Makes the server's end of a connection enter CLOSE_WAIT, and waits for that. The FIN may be late on a busy
/// machine, and an end that is closed before its FIN arrives is never in that state.
fn enter(actor: &mut Actor, (client, server): (i32, i32)) -> Result<()> {
    actor.tell(&Order::Shutdown { fd: client })?;
    let (fd, state) = (server, CLOSE_WAIT);
    actor.time(&Order::Await { fd, state }).map(drop)
}

fn decades(place: Place) -> Result<()> {
    // A separate thread, because it changes its mounts.
    let thread = std::thread::spawn(move || run(place));
    thread
        .join()
        .unwrap_or_else(|_| anyhow::bail!("it panicked"))
}

fn run(place: Place) -> Result<()> {
    let ports = match place {
        Place::Btf => 5000..=6499,
        _ => 6500..=7999,
    };
    let netns = Netns::new()?;
    let range = format!("{} {}", ports.start(), ports.end());
    netns.set("ipv4/ip_local_port_range", &range)?;
    // The kernel calls programs in the order in which they were attached: one witness before the tools, one after.
    let before = Witness::new(&ports).map_err(Ignored::because)?;
    let tools = watch_all(place, netns.inode(), &["--by pid", "--by comm", ""])?;
    let after = Witness::new(&ports).map_err(Ignored::because)?;
    let mut processes = Vec::new();
    for (more, comm) in ["decade-one", "decade-two", "decade-two"]
        .into_iter()
        .enumerate()
    {
        processes.push(Own::new(&netns, comm, more)?);
    }
    let start = Instant::now();
    for length in [3, 2] {
        for process in &mut processes {
            process.begin(length)?;
        }
    }
    let started = start.elapsed();
    for length in [0, 1] {
        for process in &mut processes {
            process.one_by_one(length)?;
        }
    }
    for length in [2, 3] {
        let until = started + LENGTHS[length].0;
        std::thread::sleep(until.saturating_sub(start.elapsed()));
        for process in &mut processes {
            process.end(length)?;
        }
    }
    let reports = end_all(place, tools)?;
    let truths = stays(&before, &after)?;
    judge(&reports, |reports| {
        check(place, reports, &processes, &truths)
    })
}

fn check(place: Place, reports: &[Report], processes: &[Own], truths: &Truths) -> Result<()> {
    let [by_pid, by_comm, all] = reports else {
        anyhow::bail!("not three reports");
    };
    let mut findings: Findings = reports.iter().map(Report::lossless).collect();
    let of_port = |port: u16| truths.get(&port).cloned().unwrap_or_default();
    let mut whole = Vec::new();
    for process in processes {
        let truth = of_port(process.port);
        ensure!(
            truth.len() == process.count,
            "the witness has seen {} of {}",
            truth.len(),
            process.count
        );
        long_enough(&truth)?;
        let mut found = by_pid.of("CLOSE_WAIT").filter(|histogram| {
            let key = histogram.key.as_ref();
            key.is_some_and(|key| key["pid"] == process.whose.pid)
        });
        let Some(found) = found.next() else {
            let count = process.count as u64;
            findings.take(missing(count, || format!("{:?}", process.whose)));
            continue;
        };
        let key = found.key.as_ref().context("no key")?;
        let started = key["started_ns"].as_u64().context("no start")?;
        ensure!(
            key["comm"] == process.whose.comm
                && started / Whose::TICK_NS == process.whose.started_ns / Whose::TICK_NS,
            "{key} is not {:?}",
            process.whose
        );
        findings.take(right(place, found, &truth));
        whole.extend(truth);
    }
    let one = by_comm.keyed("CLOSE_WAIT", Some(&json!({ "comm": "decade-one" })))?;
    findings.take(right(place, &one, &of_port(processes[0].port)));
    let two = by_comm.keyed("CLOSE_WAIT", Some(&json!({ "comm": "decade-two" })))?;
    let truth = [of_port(processes[1].port), of_port(processes[2].port)].concat();
    findings.take(right(place, &two, &truth));
    findings.take(right(place, &all.only("CLOSE_WAIT")?, &whole));
    findings.done()?;
    ensure!(by_pid.histograms.len() == 3, "others: {by_pid:#?}");
    ensure!(by_comm.histograms.len() == 2, "others: {by_comm:#?}");
    Ok(())
}

/// Checks that the truth has the wanted decades. Sleeping never ends too early.
fn long_enough(truth: &[Stay]) -> Result<()> {
    for (length, _) in LENGTHS {
        let above = |stay: &&Stay| u128::from(stay.most_ns) >= length.as_nanos();
        let expected: usize = LENGTHS
            .iter()
            .filter(|one| one.0 >= length)
            .map(|l| l.1)
            .sum();
        let found = truth.iter().filter(above).count();
        ensure!(found >= expected, "{found} of {length:?}: {truth:?}");
    }
    let shortest = truth.iter().map(|stay| stay.least_ns).min();
    let short = 1_000_000 * u64::from(slowness());
    ensure!(shortest < Some(short), "all are long: {truth:?}");
    Ok(())
}

/// Checks that each time is between the two that the witnesses wrote just before and just after it, rounded to
/// microseconds. This is certain if the kernel calls the tool's program between the witnesses. The classic hook may
/// have an earlier place in that order.
fn right(place: Place, found: &Histogram, truth: &[Stay]) -> Result<()> {
    let wider = |ns| -> Vec<_> { truth.iter().map(|stay| stay.give_or_take(ns)).collect() };
    if place.hook() == "btf" {
        agrees(&found.finished, &wider(1_000))?;
        return quantiles_agree(&found.quantiles, &wider(1_000));
    }
    agrees(&found.finished, &wider(exact_ns()))?;
    agrees_but_for(&found.finished, &wider(apart_ns()), 2 + truth.len() / 20)?;
    quantiles_agree(&found.quantiles, &wider(exact_ns()))
}

/// Stays in CLOSE_WAIT by the port of the server.
type Truths = BTreeMap<u16, Vec<Stay>>;

fn stays(before: &Witness, after: &Witness) -> Result<Truths> {
    type Moments = BTreeMap<(u16, u16), [Option<u64>; 2]>;
    let moments = |witness: &Witness| -> Result<Moments> {
        let mut all = Moments::new();
        for line in witness.lines()? {
            let moment = Some(line.monotonic_ns);
            let [entered, left] = all.entry(line.ports).or_default();
            match (&*line.from, &*line.to) {
                (_, "CLOSE_WAIT") => *entered = moment,
                ("CLOSE_WAIT", _) => *left = moment,
                _ => {}
            }
        }
        Ok(all)
    };
    let (before, after) = (moments(before)?, moments(after)?);
    let mut all = Truths::new();
    for (ports, first) in before {
        let second = after.get(&ports).copied().unwrap_or_default();
        if let ([Some(begin), Some(end)], [Some(begun), Some(ended)]) = (first, second) {
            let stay = Stay::between((begin, begun), (end, ended));
            all.entry(ports.0).or_default().push(stay);
        }
    }
    Ok(all)
}

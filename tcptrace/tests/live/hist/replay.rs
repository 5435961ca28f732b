//! Compares the histograms of a recording with those that were counted live at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{
    Family, Order, Stage,
    clock::{patience, slowness},
};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        scratch::Scratch,
        tolerance::exact_ns,
        verdict::{self, Findings, missing},
    },
    hist::check::{Stay, agrees, agrees_but_for, apart_ns},
    run::{
        hist::{Report, end_all, last, reports, watch_all},
        line::Transition,
        log::{Log, LogTool},
        tool::Tool,
    },
    truth::{endings, openings, scene::Scene},
};

pub fn add(cases: &mut Cases) {
    // The tools see each transition one after the other, and their clocks differ by what runs in between: here at least
    // only what this test has attached.
    cases
        .add_in(BOTH, "hist_of_a_recording_is_the_live_one", same)
        .alone()
        .here();
    cases
        .add("hist_of_a_recording_with_filters", filters)
        .here();
}

/// Options that are used both live and for the recording.
const SPLITS: [&str; 6] = [
    "--all-states",
    "--all-states --by pid",
    "--all-states --by comm",
    "--all-states --by remote,port",
    "--all-states --by cgroup",
    "--all-states --by family,netns",
];

fn same(place: Place) -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.file("log.jsonl");
    let mut stage = Stage::new()?;
    let old = stage.server_leak(Family::Ipv4, 3)?;
    let netns = stage.netns().inode();
    let log = LogTool::watch(place, netns, &["-o", &file])?;
    // An emulated machine needs many seconds to start each. Every other one is enough there.
    let splits: Vec<_> = SPLITS
        .into_iter()
        .step_by(slowness().clamp(1, 2) as usize)
        .collect();
    let tools = watch_all(place, netns, &splits)?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    let all = [openings::ALL, openings::PROCESSES, endings::ALL];
    for case in all.into_iter().flatten() {
        case(&mut scene)?;
    }
    let (mut stage, _) = scene.finish()?;
    for truth in &old[..2] {
        let (_, fd) = *truth.holders.first().context("no holder")?;
        stage.server.tell(&Order::Close { fds: vec![fd] })?;
    }
    stage.client_leak(Family::Ipv6, 2)?;
    stage.server_leak(Family::Mapped, 1)?;
    stage.never_accepted(Family::Ipv4, 1)?;
    settled(&stage)?;
    let live = end_all(place, tools)?;
    log.end()?;

    let log = Log::of(place, &std::fs::read_to_string(&file)?)?.lossless()?;
    let mut findings: Findings = live.iter().map(Report::lossless).collect();
    findings.take(all_the_same(&file, &live, &splits, &log));
    verdict::judge(
        log.skipped() + live.iter().map(Report::skipped).sum::<u64>(),
        findings.done(),
    )
}

/// Waits until no socket is between two states: the log and the histograms do not end at the same moment.
fn settled(stage: &Stage) -> Result<()> {
    // SYN_SENT, SYN_RECV, FIN_WAIT1, LAST_ACK, CLOSING.
    const PASSING: [&str; 5] = ["02", "03", "04", "09", "0B"];
    let start = Instant::now();
    loop {
        let mut left = String::new();
        for table in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
            left += &stage
                .netns()
                .run(move || std::fs::read_to_string(table))??;
        }
        let state = |line: &str| line.split_whitespace().nth(3).map(String::from);
        let mut states = left.lines().filter_map(state);
        if !states.any(|state| PASSING.contains(&&*state)) {
            return Ok(());
        }
        ensure!(
            start.elapsed() < patience(),
            "still between states:\n{left}"
        );
    }
}

fn all_the_same(file: &str, live: &[Report], splits: &[&str], log: &Log) -> Result<()> {
    for (live, words) in live.iter().zip(splits) {
        let replayed = replay(file, words)?;
        let as_logged = is_what_is_logged(&replayed, log);
        as_logged.with_context(|| format!("replay {words}"))?;
        agree(live, &replayed, handed_on(words, log))
            .and_then(|()| close(live, log))
            .with_context(|| format!("{words}\nlive: {live:#?}\nreplayed: {replayed:#?}"))?;
    }
    Ok(())
}

fn replay(file: &str, words: &str) -> Result<Report> {
    let mut arguments = vec!["replay", file, "hist", "--json"];
    arguments.extend(words.split_whitespace());
    let outcome = Tool::start(Place::AsIs, &arguments)?.wait()?.success()?;
    ensure!(reports(&outcome.stdout)?.len() == 1, "{}", outcome.stdout);
    last(&outcome)
}

/// By state and key: the numbers of durations that are finished, from before the start, and unknown.
type Counts = BTreeMap<(String, String), [u64; 3]>;

/// How many counts one skipped run may change. It may move a socket's durations to another key or remove them: the
/// durations of six states, each of which then differs twice.
const SPOILT: u64 = 12;

/// A lower bound for the number of sockets whose durations are counted differently.
fn differ(one: &Counts, other: &Counts) -> u64 {
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let count = |counts: &Counts, key| counts.get(key).copied().unwrap_or_default();
    let apart = keys.into_iter().map(|key| {
        let (one, other) = (count(one, key), count(other, key));
        one.iter()
            .zip(other)
            .map(|(a, b)| a.abs_diff(b))
            .sum::<u64>()
    });
    apart.sum::<u64>().div_ceil(SPOILT)
}

/// How many sockets may count under another process: those that are handed on without a call. Both look from time
/// to time who has them, and not at the same time.
fn handed_on(words: &str, log: &Log) -> u64 {
    if !words.contains("pid") && !words.contains("comm") {
        return 0;
    }
    let used = log
        .transitions
        .iter()
        .filter(|line| line.subject.user.is_some());
    let cookies: BTreeSet<_> = used.map(|line| line.subject.cookie).collect();
    cookies.len() as u64
}

/// The same without keys.
fn of_states(counts: &Counts) -> Counts {
    let mut sums = Counts::new();
    for ((state, _), counts) in counts {
        let sum = sums.entry((state.clone(), String::new())).or_default();
        sum.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
    }
    sums
}

/// Checks that both have the same number of each kind, for each state and key; but so many sockets may be
/// `handed_on` to another key.
fn agree(live: &Report, replayed: &Report, handed_on: u64) -> Result<()> {
    let counts = |report: &Report| -> Counts {
        let numbers = report.histograms.iter().map(|one| {
            let key = one.key.as_ref().map(Value::to_string).unwrap_or_default();
            let counts = [one.finished.count, one.at_least.count, one.unknown];
            ((one.state.clone(), key), counts)
        });
        // Keys that have only open sockets are checked below.
        numbers.filter(|(_, counts)| *counts != [0; 3]).collect()
    };
    let (mine, theirs) = (counts(live), counts(replayed));
    let without_keys = differ(&of_states(&mine), &of_states(&theirs));
    let with_keys = differ(&mine, &theirs).saturating_sub(handed_on);
    missing(without_keys.max(with_keys), || {
        format!("{mine:#?} live, replayed {theirs:#?}")
    })?;
    ensure!(mine.len() > 6, "too few: {mine:#?}");
    ensure!(live.by == replayed.by && live.states == replayed.states);
    let open = |report: &Report| -> Counts {
        let numbers = report.of("CLOSE_WAIT").map(|one| {
            let key = one.key.as_ref().map(Value::to_string).unwrap_or_default();
            let counts = [one.so_far.exact.count, one.so_far.at_least.count, 0];
            ((String::new(), key), counts)
        });
        numbers.filter(|(_, counts)| *counts != [0; 3]).collect()
    };
    let (mine, theirs) = (open(live), open(replayed));
    missing(differ(&mine, &theirs), || {
        format!("{mine:#?} open, replayed {theirs:#?}")
    })?;
    let sums = mine
        .values()
        .fold([0; 2], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
    ensure!(sums == [4, 1], "not four and one are open: {mine:#?}");
    Ok(())
}

/// The durations of the log's own lines with an ordinary end, by state.
fn logged(log: &Log) -> BTreeMap<&str, Vec<Stay>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let ordinary = |line: &&Transition| line.ended.as_deref().is_none_or(|end| end == "closed");
    for line in log.transitions.iter().filter(ordinary) {
        if let ("exact", Some(ns)) = (&*line.duration, line.duration_ns) {
            let (least_ns, most_ns) = (ns, ns);
            let stay = Stay { least_ns, most_ns };
            all.entry(&*line.from).or_default().push(stay);
        }
    }
    all
}

/// Checks that a replay counts exactly the durations of the lines, to the nanosecond.
fn is_what_is_logged(replayed: &Report, log: &Log) -> Result<()> {
    let logged = logged(log);
    for state in &replayed.states {
        let stays = logged.get(&**state).map_or(&[][..], Vec::as_slice);
        let keys = replayed.of(state).count();
        if keys == 1 {
            agrees(&replayed.only(state)?.finished, stays).with_context(|| state.clone())?;
        }
        let sum_ns = replayed.sum(state, |one| one.finished.sum_ns);
        let expected: u64 = stays.iter().map(|stay| stay.least_ns).sum();
        ensure!(sum_ns == expected, "{state}: {sum_ns} of {expected} ns");
    }
    Ok(())
}

/// Checks that the live durations are the logged ones, except for the time between two readings of the clock.
fn close(live: &Report, log: &Log) -> Result<()> {
    for (state, stays) in logged(log) {
        let wider = |ns| -> Vec<_> { stays.iter().map(|stay| stay.give_or_take(ns)).collect() };
        let mut found = live.of(state);
        let (Some(only), None) = (found.next(), found.next()) else {
            continue;
        };
        agrees(&only.finished, &wider(exact_ns())).with_context(|| state.to_owned())?;
        let outliers = 2 + stays.len() / 10;
        // Between this tool and the log are up to five others, each with caches to fill.
        agrees_but_for(&only.finished, &wider(3 * apart_ns()), outliers)
            .with_context(|| state.to_owned())?;
    }
    Ok(())
}

/// Filters have the same effect on the replayed histograms as on the log's lines.
fn filters() -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.file("log.jsonl.zst");
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let log = LogTool::watch(Place::Btf, netns, &["-o", &file])?;
    let mut scene = Scene::new(stage, Family::Ipv4)?;
    for case in openings::ALL {
        case(&mut scene)?;
    }
    let port = scene.address().port();
    stage = scene.finish()?.0;
    stage.client_leak(Family::Ipv6, 2)?;
    log.end()?.lossless()?;
    let (client, server) = (stage.client.pid(), stage.server.pid());
    for filter in [
        String::new(),
        format!("--pid {client}"),
        format!("--comm leaky-server --port {port}"),
        "--remote ::1 --family ipv6".into(),
        "--comm worker-one,worker-two".into(),
    ] {
        let found = replay(&file, &format!("--all-states {filter}"))?;
        let mut arguments = vec!["replay", &file, "log", "--json"];
        arguments.extend(filter.split_whitespace());
        let lines = Tool::start(Place::AsIs, &arguments)?.wait()?.success()?;
        let lines = Log::of(Place::AsIs, &lines.stdout)?;
        is_what_is_logged(&found, &lines).with_context(|| filter.clone())?;
        let open = found.sum("CLOSE_WAIT", |one| one.so_far.exact.count);
        ensure!(
            open == lines.open.len() as u64,
            "{filter}: {open} open, not {:#?}",
            lines.open
        );
        let any = found.histograms.iter().any(|one| one.finished.count > 0);
        ensure!(any || filter.contains("::1"), "{filter}: nothing");
    }
    ensure!(client != server, "one process");
    Ok(())
}

//! When reports appear, where they go, and what they must not do to a terminal.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use testbed::{Family, Order, Side, Stage, clock::monotonic_ns};

use crate::{
    harness::{
        case::Cases,
        place::Place,
        scratch::Scratch,
        verdict::{counted, missing},
    },
    hist::check::stays,
    run::{
        hist::{Histogram, READY, Report, judge, last, reports, start_all},
        tool::{KilledWhenDropped, Tool, binary},
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("hist_intervals_add_up", intervals).here();
    cases.add("hist_ends_with_a_report", ends).here();
    cases.add("hist_into_a_file", into_a_file).here();
    cases.add("hist_onto_a_full_disk", full_disk).here();
    cases.add("hist_as_text", text).here();
}

/// The reports of all intervals add up to the report of the whole session.
fn intervals() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let old = stage.server_leak(Family::Ipv4, 2)?;
    let words = format!("--json --netns {netns} --all-states --by comm --interval 300ms");
    let mut tool = start_all(Place::AsIs, &[words])?.pop().context("no tool")?;
    let mut made = 0;
    for _ in 0..8 {
        made += stays(&mut stage, Family::Ipv4, Side::Server, 2)?.len();
        std::thread::sleep(Duration::from_millis(100));
    }
    let (_, fd) = *old[0].holders.first().context("no holder")?;
    stage.server.tell(&Order::Close { fds: vec![fd] })?;
    let done = monotonic_ns();
    // Nothing happens any more: after the next report, the last one adds nothing.
    let mut text = String::new();
    loop {
        let line = tool.line()? + "\n";
        text += &line;
        if reports(&line)?
            .iter()
            .any(|report| report.monotonic_ns > Some(done))
        {
            break;
        }
    }
    text += &tool.end()?.stdout;
    judge(&reports(&text)?, |all| add_up(all, made as u64))
}

fn add_up(all: &[Report], made: u64) -> Result<()> {
    let Some((whole, all)) = all.split_last() else {
        anyhow::bail!("no report");
    };
    let intervals = all.iter().all(|report| report.covers == "interval");
    ensure!(
        whole.covers == "whole" && intervals && all.len() >= 2,
        "{all:#?}"
    );
    let lengths: u64 = all.iter().map(|report| report.length_ns).sum();
    ensure!(lengths <= whole.length_ns, "{lengths} in {whole:#?}");
    let moments: Vec<_> = all.iter().map(|report| report.monotonic_ns).collect();
    ensure!(moments.is_sorted(), "{moments:?}");
    for one in &whole.histograms {
        let same = |report: &Report| {
            let mut of_state = report.of(&one.state);
            of_state.find(|other| other.key == one.key).cloned()
        };
        let parts: Vec<_> = all.iter().filter_map(same).collect();
        let sum = |of: fn(&Histogram) -> u64| parts.iter().map(of).sum::<u64>();
        let mut buckets: BTreeMap<u64, u64> = BTreeMap::new();
        for bucket in parts.iter().flat_map(|part| &part.finished.buckets) {
            *buckets.entry(bucket.ge_ns).or_default() += bucket.count;
        }
        let whole = one.finished.buckets.iter();
        let whole: BTreeMap<_, _> = whole.map(|bucket| (bucket.ge_ns, bucket.count)).collect();
        ensure!(
            sum(|part| part.finished.count) == one.finished.count
                && sum(|part| part.finished.sum_ns) == one.finished.sum_ns
                && sum(|part| part.at_least.count) == one.at_least.count
                && buckets == whole,
            "{parts:#?} do not add up to {one:#?}"
        );
    }
    let found = whole.only("CLOSE_WAIT")?;
    let counts = [
        found.finished.count,
        found.at_least.count,
        found.so_far.at_least.count,
    ];
    missing(made.saturating_sub(counts[0]), || format!("{found:#?}"))?;
    ensure!(counts == [made, 1, 1], "{counts:?} of {made}: {found:#?}");
    whole.lossless()
}

/// It prints its report however it ends, as text and as JSON.
fn ends() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let (json, text) = (
        format!("--json --netns {netns}"),
        format!("--netns {netns}"),
    );
    let tools = start_all(
        Place::AsIs,
        &[json.clone(), json, text.clone(), text.clone()],
    )?;
    let made = stays(&mut stage, Family::Ipv6, Side::Client, 7)?.len();
    let signals = [Signal::INT, Signal::TERM, Signal::INT, Signal::TERM];
    for (index, (tool, signal)) in tools.into_iter().zip(signals).enumerate() {
        tool.signal(signal)?;
        let outcome = tool.wait()?.success()?;
        if index < 2 {
            judge(&[last(&outcome)?], |reports| {
                reports[0].lossless()?;
                let count = reports[0].only("CLOSE_WAIT")?.finished.count;
                counted(count, made as u64, || format!("{reports:#?}"))
            })?;
        } else {
            let said = outcome.stdout.starts_with("All of ");
            let count = format!("\n  {made} closed\n");
            ensure!(said && outcome.stdout.contains(&count), "{outcome:?}");
        }
    }
    // If there was nothing, the report says so.
    let nothing = Stage::new()?;
    let words = ["hist", "--duration", "1ms", "--netns"];
    let netns = nothing.netns().inode().to_string();
    let arguments = words.into_iter().chain([&*netns]).collect::<Vec<_>>();
    let outcome = Tool::start(Place::AsIs, &arguments)?.wait()?.success()?;
    ensure!(
        outcome
            .stdout
            .contains("CLOSE_WAIT: no socket that passes "),
        "{outcome:?}"
    );
    Ok(())
}

/// Runs it with its output in this file until a signal ends it. Returns its exit code and its standard error.
fn into(path: &str, words: &str) -> Result<(Option<i32>, String)> {
    let mut stage = Stage::new()?;
    let mut command = Command::new(binary());
    let netns = stage.netns().inode().to_string();
    command.args(["hist", "--netns", &netns]);
    command.args(words.split_whitespace());
    command.stdout(File::create(path)?);
    command.stderr(Stdio::piped());
    Place::AsIs.prepare(&mut command);
    let mut child = KilledWhenDropped(command.spawn()?);
    let mut err = BufReader::new(child.0.stderr.take().context("no stderr")?);
    let mut text = String::new();
    while !text.contains(READY) {
        ensure!(err.read_line(&mut text)? > 0, "it ended: {text}");
    }
    for family in Family::ALL {
        stays(&mut stage, family, Side::Server, 4)?;
    }
    let pid = Pid::from_raw(i32::try_from(child.0.id())?).context("no PID")?;
    kill_process(pid, Signal::INT)?;
    err.read_to_string(&mut text)?;
    Ok((child.0.wait()?.code(), text))
}

fn into_a_file() -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.file("hist.jsonl");
    let words = "--json --all-states --by comm,remote,port";
    let (code, said) = into(&file, words)?;
    ensure!(code == Some(0), "{code:?}: {said}");
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.ends_with('\n'), "it is cut off: {text}");
    let [report] = &reports(&text)?[..] else {
        anyhow::bail!("not one line: {text}");
    };
    let found = report.sum("CLOSE_WAIT", |one| one.finished.count);
    ensure!(found == 12, "{found} of 12: {report:#?}");
    Ok(())
}

/// A failed write is an error with a message.
fn full_disk() -> Result<()> {
    for words in ["--json", ""] {
        let (code, said) = into("/dev/full", words)?;
        ensure!(
            code == Some(1) && said.contains("space") && !said.contains("panicked"),
            "{code:?}: {said}"
        );
    }
    Ok(())
}

/// Text cannot control a terminal, whatever the name of a process. It is ASCII if the user asks for that.
fn text() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let words = [
        format!("--netns {netns} --by comm --all-states"),
        format!("--netns {netns} --by pid,remote --all-states --ascii"),
        format!("--json --netns {netns} --by comm"),
    ];
    for comm in [
        &b"a\x1b[2J\n\r\x07\x7f\t|"[..],
        b"\xc2\x9b31m\xff\xe2\x80\xaeb",
    ] {
        let comm = comm.to_vec();
        stage.client.tell(&Order::Rename { comm })?;
        let tools = start_all(Place::AsIs, &words)?;
        stays(&mut stage, Family::Ipv4, Side::Client, 5)?;
        // The report also shows what has not ended.
        stage.client_leak(Family::Mapped, 2)?;
        let outcomes = tools
            .into_iter()
            .map(Tool::end)
            .collect::<Result<Vec<_>>>()?;
        for outcome in &outcomes {
            for text in [&outcome.stdout, &outcome.stderr] {
                // Bidirectional overrides, which rearrange a line, are not control characters: JSON does
                // not escape them.
                let rearranges =
                    |c: char| !text.starts_with('{') && ('\u{202a}'..='\u{202e}').contains(&c);
                let steers = |c: &char| c.is_control() && *c != '\n' || rearranges(*c);
                let found = text.chars().find(steers);
                ensure!(found.is_none(), "{found:?} in {text:?}");
            }
        }
        let [plain, ascii, json] = &outcomes[..] else {
            anyhow::bail!("not three");
        };
        ensure!(ascii.stdout.is_ascii(), "{}", ascii.stdout);
        ensure!(plain.stdout.contains('█'), "{}", plain.stdout);
        for outcome in [plain, ascii] {
            let finished = outcome.stdout.contains("  5 closed");
            // In a pipe no sentence is wrapped.
            let is_table = |line: &&str| !line.contains("; ");
            let mut lines = outcome.stdout.lines().filter(is_table);
            let wide = lines.find(|line| line.chars().count() > 80);
            ensure!(
                finished && wide.is_none() && outcome.stdout.contains("so far"),
                "{wide:?} in:\n{}",
                outcome.stdout
            );
        }
        let pid = format!("[{}]", stage.client.pid());
        ensure!(ascii.stdout.contains(&pid), "{}", ascii.stdout);
        // The JSON is valid and is one line.
        ensure!(json.stdout.lines().count() == 1, "{}", json.stdout);
        judge(&[last(json)?], |reports| {
            reports[0].lossless()?;
            let found = reports[0].sum("CLOSE_WAIT", |one| one.finished.count);
            counted(found, 5, || format!("{reports:#?}"))
        })?;
    }
    Ok(())
}

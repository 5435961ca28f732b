//! Who or what ends a connection, and what stays open: in a log, in its recording and in histograms.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        scratch::Scratch,
        verdict::{self, Findings, missing},
    },
    run::{
        hist::{Report, end_all, last, watch_all},
        line::{Open, Subject, Transition},
        log::{Log, LogTool},
        tool::Tool,
    },
    truth::ends::{End, Ends},
};

pub fn add(cases: &mut Cases) {
    cases
        .add_in(BOTH, "log_ends", ends)
        .here_in(Place::Tracepoint);
    cases.add("log_ends::no_btf", untold).here();
}

/// The endings that a histogram counts.
const ENDINGS: [&str; 4] = ["closed", "reset", "reset_still_open", "to_remainder"];

/// With and without owners, the kernel side does not keep the same.
const SPLITS: [&str; 2] = ["--all-states", "--all-states --by comm"];

fn ends(place: Place) -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.file("log.jsonl");
    let mut truth = Ends::all()?;
    let netns = truth.stage.netns().inode();
    let tool = LogTool::watch(place, netns, &["-o", &file])?;
    let hists = watch_all(place, netns, &SPLITS)?;
    truth.play()?;
    let hists = end_all(place, hists)?;
    let outcome = tool.end()?.outcome;
    let log = Log::of(place, &std::fs::read_to_string(&file)?)?.lossless()?;

    let mut findings = Findings::default();
    for end in &truth.all {
        findings.take(shown(&log, end).context(end.what));
    }
    findings.take(residue(&log, &truth));
    for (live, words) in hists.iter().zip(SPLITS) {
        let recorded = replay(&file, words)?;
        // Once each: an end that is missing must not count as several.
        let kinds: HashSet<_> = (truth.all.iter().map(|end| (end.from, end.ended))).collect();
        for (from, ended) in kinds {
            // All of them, not only the server's.
            let logged = |line: &&Transition| {
                line.from == from && line.ended.as_deref().unwrap_or("closed") == ended
            };
            let logged = log.transitions.iter().filter(logged).count() as u64;
            for (what, report) in [("live", live), ("replayed", &recorded)] {
                let found = report.sum(from, |one| one.ended[ended]);
                findings.take(missing(found.abs_diff(logged), || {
                    format!("{from}, {ended}, {what}: {found}, in the log {logged}")
                }));
            }
        }
        findings.take(counted_apart(live, &recorded));
    }
    let skipped = hists.iter().map(Report::skipped).sum::<u64>() + log.skipped();
    verdict::judge(skipped, findings.done())?;
    let said = &outcome.stderr;
    let reset = truth.count("CLOSE_WAIT", "reset_still_open");
    let kept = (truth.all.iter()).filter(|end| end.from == "CLOSE_WAIT" && end.kept);
    let kept = kept.count();
    let text = format!(
        "{reset} of those that left were reset while open, {kept} of them are still open (residue)"
    );
    ensure!(said.contains(&text), "no {text}: {said}");
    Ok(())
}

/// What ended otherwise is not in `count`.
fn counted_apart(live: &Report, recorded: &Report) -> Result<()> {
    for report in [live, recorded] {
        for one in &report.histograms {
            let closed = one.finished.count + one.at_least.count + one.unknown;
            ensure!(one.ended["closed"] == closed, "{one:#?}");
            ensure!(one.ended["unknown"] == 0, "{one:#?}");
        }
        let sums = ENDINGS.map(|ending| report.sum("CLOSE_WAIT", |one| one.ended[ending]));
        ensure!(sums[2] > 0 && sums[0] > 0, "{sums:?}");
    }
    Ok(())
}

fn replay(file: &str, words: &str) -> Result<Report> {
    let mut arguments = vec!["replay", file, "hist", "--json"];
    arguments.extend(words.split_whitespace());
    last(&Tool::start(Place::AsIs, &arguments)?.wait()?.success()?)
}

/// Older kernels give the programs no cookies.
fn is_about(subject: &Subject, end: &End) -> bool {
    subject.cookie.is_none_or(|cookie| cookie == end.cookie)
        && subject.local.socket_addr() == Some(end.local)
        && subject.remote.socket_addr() == end.remote
}

/// The line about an end.
fn line_of<'a>(log: &'a Log, end: &End) -> Result<&'a Transition> {
    let mut lines = log.transitions.iter();
    let line = lines
        .rfind(|line| is_about(&line.subject, end) && line.to == "CLOSE" && line.from == end.from);
    line.with_context(|| format!("no line about {end:?}"))
}

fn shown(log: &Log, end: &End) -> Result<()> {
    let Ok(line) = line_of(log, end) else {
        return missing(1, || format!("no line about {end:?}"));
    };
    let right = line.ended.as_deref() == Some(end.ended)
        && line.still_open == (end.ended == "reset_still_open").then_some(true)
        && line.caller.as_ref().and_then(|caller| caller.pid) == end.caller;
    ensure!(right, "not {end:?}: {line:#?}");
    Ok(())
}

/// Exactly what was reset and not closed is listed at the end.
fn residue(log: &Log, truth: &Ends) -> Result<()> {
    let listed = |end: &End| {
        let mut lines = log.open.iter();
        let line = lines.find(|line| is_about(&line.subject, end));
        line.filter(|line| line.residue == Some(true))
    };
    for end in &truth.all {
        match (end.kept, listed(end)) {
            (false, None) => {}
            (true, Some(line)) => residue_right(line, end, log)?,
            (true, None) => missing(1, || format!("not listed: {end:?}"))?,
            (false, Some(line)) => anyhow::bail!("{end:?} is listed: {line:#?}"),
        }
    }
    Ok(())
}

fn residue_right(line: &Open, end: &End, log: &Log) -> Result<()> {
    let died = line_of(log, end)?;
    ensure!(
        line.state == "CLOSE" && line.was_in.as_deref() == Some(end.from),
        "{line:#?}"
    );
    ensure!(line.subject == died.subject, "{line:#?}, before: {died:#?}");
    let age_ns = line.monotonic_ns - died.monotonic_ns;
    ensure!(line.age_ns == age_ns, "not {age_ns}: {line:#?}");
    Ok(())
}

/// Without type information nothing tells a reset from another end: that is said, and no process is named.
fn untold() -> Result<()> {
    let mut truth = Ends::all()?;
    let netns = truth.stage.netns();
    netns.set("ipv4/ip_local_port_range", "4950 5900")?;
    let tool = LogTool::start(Place::NoBtf, &["--json"])?;
    truth.play()?;
    let log = tool.end()?.lossless()?;
    let port = |line: &Transition| line.subject.remote.port.unwrap_or(0);
    let ours = log.transitions.iter();
    let ours = ours.filter(|line| (4950..5900).contains(&port(line)));
    let ends: Vec<_> = ours.filter(|line| line.to == "CLOSE").collect();
    let connected = ["ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2", "LAST_ACK"];
    let ends: Vec<_> = (ends.into_iter())
        .filter(|line| connected.contains(&&*line.from))
        .collect();
    ensure!(ends.len() > 8, "too few: {ends:#?}");
    for line in ends {
        let untold = line.ended.is_none() && line.still_open.is_none() && line.caller.is_none();
        ensure!(untold, "{line:#?}");
    }
    Ok(())
}

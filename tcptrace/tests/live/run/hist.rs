//! Runs `tcptrace hist` and reads its reports.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    harness::{
        place::Place,
        verdict::{self, missing},
    },
    run::{
        snapshot::Caveat,
        tool::{Outcome, Tool},
    },
};

/// It writes this when it counts everything from then on.
pub const READY: &str = "tcptrace: counting";

/// Starts several at once, each with exactly these words after `hist`, and waits until all of them count.
pub fn start_all(place: Place, words: &[String]) -> Result<Vec<Tool>> {
    let begin = |words: &String| {
        let mut arguments = vec!["hist"];
        arguments.extend(place.arguments());
        arguments.extend(words.split_whitespace());
        Tool::start(place, &arguments)
    };
    let mut tools = words.iter().map(begin).collect::<Result<Vec<_>>>()?;
    for (tool, words) in tools.iter_mut().zip(words) {
        tool.until_said(READY).with_context(|| words.clone())?;
    }
    Ok(tools)
}

/// The same for one namespace, with JSON output and one item of `more` each.
pub fn watch_all(place: Place, netns: u64, more: &[&str]) -> Result<Vec<Tool>> {
    let words = |more: &&str| format!("--json --netns {netns} {more}");
    start_all(place, &more.iter().map(words).collect::<Vec<_>>())
}

/// Starts one for one namespace, with JSON output and `more`.
pub fn watch(place: Place, netns: u64, more: &str) -> Result<Tool> {
    watch_all(place, netns, &[more])?
        .pop()
        .context("none was started")
}

/// Ends all of them as Ctrl-C does, and returns the last report of each.
pub fn end_all(place: Place, tools: Vec<Tool>) -> Result<Vec<Report>> {
    for tool in &tools {
        tool.signal(Signal::INT)?;
    }
    let last = |tool: Tool| {
        let report = last(&tool.wait()?.success()?)?;
        ensure!(
            report.tracing.hook.as_deref() == Some(place.hook()),
            "the hook is not {}: {:?}",
            place.hook(),
            report.tracing
        );
        Ok(report)
    };
    tools.into_iter().map(last).collect()
}

/// Ends one as Ctrl-C does, and checks its last report. Nothing may be missing from it.
pub fn end(place: Place, tool: Tool, check: impl FnOnce(&Report) -> Result<()>) -> Result<()> {
    judge(&end_all(place, vec![tool])?, |reports| {
        reports[0].lossless()?;
        check(&reports[0])
    })
}

/// Checks reports. As many items may be missing from them as the kernel skipped runs of their programs.
pub fn judge(reports: &[Report], check: impl FnOnce(&[Report]) -> Result<()>) -> Result<()> {
    verdict::judge(reports.iter().map(Report::skipped).sum(), check(reports))
}

/// The report that covers the whole session.
pub fn last(outcome: &Outcome) -> Result<Report> {
    match reports(&outcome.stdout)?.pop() {
        Some(report) if report.covers == "whole" => Ok(report),
        other => bail!("it does not cover the whole session: {other:#?}"),
    }
}

/// Reads reports, one a line.
pub fn reports(text: &str) -> Result<Vec<Report>> {
    let report = |line: &str| -> Result<Report> {
        let report: Report =
            serde_json::from_str(line).with_context(|| format!("not a report: {line}"))?;
        report.makes_sense().with_context(|| line.to_owned())?;
        Ok(report)
    };
    text.lines().map(report).collect()
}

/// A line of `tcptrace hist --json`: the part that scripts may rely on.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    pub schema: String,
    pub time: Option<String>,
    pub monotonic_ns: Option<u64>,
    pub covers: String,
    pub length_ns: u64,
    pub by: Vec<String>,
    pub states: Vec<String>,
    pub include_open: bool,
    pub histograms: Vec<Histogram>,
    pub hidden: u64,
    pub keys: Keys,
    pub tracing: Tracing,
    pub caveats: Vec<Caveat>,
}

/// Durations in a state, for one key.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Histogram {
    pub state: String,
    /// `None` for all other keys together.
    pub key: Option<Value>,
    #[serde(flatten)]
    pub finished: Durations,
    pub quantiles: Vec<Quantile>,
    /// By ending.
    pub ended: BTreeMap<String, u64>,
    pub at_least: Durations,
    pub unknown: u64,
    pub so_far: SoFar,
}

/// Durations that have not ended.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SoFar {
    pub exact: Durations,
    pub at_least: Durations,
}

/// The number of durations of each length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Durations {
    pub count: u64,
    pub sum_ns: u64,
    pub max_ns: Option<u64>,
    pub max_exact: Option<bool>,
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Bucket {
    pub ge_ns: u64,
    pub le_ns: u64,
    pub count: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Quantile {
    pub q: f64,
    pub ns: u64,
    pub ge_ns: u64,
    pub le_ns: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Keys {
    pub count: u64,
    pub max: u64,
    pub other: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Tracing {
    pub hook: Option<String>,
    pub lost: u64,
    pub unkept: u64,
    pub recursion_misses: Option<u64>,
}

impl Report {
    /// How many runs of its program the kernel skipped, according to the report. If the kernel does not count them, 0.
    pub fn skipped(&self) -> u64 {
        self.tracing.recursion_misses.unwrap_or(0)
    }

    /// The histograms of a state.
    pub fn of(&self, state: &str) -> impl Iterator<Item = &Histogram> {
        self.histograms
            .iter()
            .filter(move |histogram| histogram.state == state)
    }

    /// The histogram of a state that nothing splits. Empty if there is none, an error if there are several.
    pub fn only(&self, state: &str) -> Result<Histogram> {
        match self.of(state).collect::<Vec<_>>()[..] {
            [] => Ok(Histogram::default()),
            [one] => Ok(one.clone()),
            ref other => bail!("several histograms of {state}: {other:#?}"),
        }
    }

    /// The histogram of a state with this key (`None`: all other keys together). Empty if there is none.
    pub fn keyed(&self, state: &str, key: Option<&Value>) -> Result<Histogram> {
        let mut found = self.of(state).filter(|one| one.key.as_ref() == key);
        let one = found.next().cloned().unwrap_or_default();
        ensure!(found.next().is_none(), "{key:?} twice");
        Ok(one)
    }

    /// The sum over all keys of a state.
    pub fn sum(&self, state: &str, number: impl Fn(&Histogram) -> u64) -> u64 {
        self.of(state).map(number).sum()
    }

    /// Checks that it reports nothing missing and nothing unknown.
    pub fn lossless(&self) -> Result<()> {
        let (lost, unkept) = (self.tracing.lost, self.tracing.unkept);
        ensure!(lost + unkept == 0, "{lost} lost, {unkept} unkept");
        let unknown = self.histograms.iter().map(|histogram| histogram.unknown);
        missing(unknown.sum(), || format!("durations: {self:#?}"))
    }

    /// Checks what must be true of every report.
    fn makes_sense(&self) -> Result<()> {
        ensure!(self.schema == "tcptrace.hist/1", "schema {}", self.schema);
        // RFC 3339 in UTC with nanoseconds.
        let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let shape = self
            .time
            .as_ref()
            .map(|time| time.chars().map(digit).collect::<String>());
        let right = shape.is_none_or(|shape| shape == "0000-00-00T00:00:00.000000000Z");
        ensure!(right, "time {:?}", self.time);
        // No test here cuts a report short.
        ensure!(self.hidden == 0, "{} are hidden", self.hidden);
        ensure!(self.by.first().is_some_and(|by| by == "state"), "by");
        for histogram in &self.histograms {
            histogram.makes_sense(self.covers == "whole", self.include_open)?;
        }
        Ok(())
    }
}

impl Histogram {
    fn makes_sense(&self, at_rest: bool, include_open: bool) -> Result<()> {
        let so_far = [&self.so_far.exact, &self.so_far.at_least];
        for durations in [&self.finished, &self.at_least].into_iter().chain(so_far) {
            durations.makes_sense(at_rest)?;
        }
        let open: u64 = so_far.iter().map(|durations| durations.count).sum();
        let told = self.finished.count + if include_open { open } else { 0 };
        let expected: &[f64] = if told > 0 { &[0.5, 0.9, 0.99] } else { &[] };
        let quantiles: Vec<_> = self.quantiles.iter().map(|quantile| quantile.q).collect();
        ensure!(quantiles == expected, "quantiles {quantiles:?}");
        let inside = |quantile: &Quantile| (quantile.ge_ns..=quantile.le_ns).contains(&quantile.ns);
        ensure!(self.quantiles.iter().all(inside), "{:?}", self.quantiles);
        let any = self.ended.values().sum::<u64>() + open;
        ensure!(any > 0, "an empty histogram");
        Ok(())
    }
}

impl Durations {
    /// Checks what must be true of any durations. `at_rest`: nothing was counted while they were read.
    fn makes_sense(&self, at_rest: bool) -> Result<()> {
        let buckets = &self.buckets;
        let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        ensure!(count == self.count, "{count} in buckets of {self:?}");
        let apart = |pair: &[Bucket]| pair[0].le_ns < pair[1].ge_ns;
        ensure!(buckets.windows(2).all(apart), "not in order: {self:?}");
        for bucket in buckets {
            let width = bucket.le_ns.saturating_sub(bucket.ge_ns) + 1;
            let fine = bucket.ge_ns < 1000 || bucket.ge_ns >= 1_000_000_000_000_000;
            ensure!(fine || width * 8 <= bucket.ge_ns, "too wide: {bucket:?}");
        }
        let (Some(last), Some(max_ns)) = (buckets.last(), self.max_ns) else {
            ensure!(*self == Self::default(), "not empty: {self:?}");
            return Ok(());
        };
        let sum = |of: fn(&Bucket) -> u64| -> u64 {
            let all = buckets.iter();
            all.map(|bucket| bucket.count.saturating_mul(of(bucket)))
                .fold(0, u64::saturating_add)
        };
        let sums = sum(|bucket| bucket.ge_ns)..=sum(|bucket| bucket.le_ns);
        if at_rest {
            let longest = (last.ge_ns..=last.le_ns).contains(&max_ns);
            ensure!(longest && self.max_exact == Some(true), "longest: {self:?}");
            ensure!(sums.contains(&self.sum_ns), "sum: {self:?}");
        }
        Ok(())
    }
}

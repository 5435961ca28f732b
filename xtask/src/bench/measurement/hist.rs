//! Whether `tcptrace hist` counts every duration, and the CPU time that it needs in user space.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    bench::{
        Plan,
        gauge::stats::Spread,
        load::track::Track,
        report::Section,
        subject::{Subject, session::Ended},
    },
    interrupt,
};

const LAP_MS: u64 = 5000;
const QUICK_LAP_MS: u64 = 1000;
const WORKERS: usize = 2;
/// The CPU time that counting may take, in percent of the elapsed time.
const MOST_CPU: f64 = 1.0;

/// Durations that end during one connection of the loop, by state.
const OF_CLOSE_WAIT: &[(&str, u64)] = &[("CLOSE_WAIT", 1)];
const OF_ALL: &[(&str, u64)] = &[
    ("CLOSE_WAIT", 1),
    ("ESTABLISHED", 2),
    ("SYN_SENT", 1),
    ("SYN_RECV", 1),
    ("FIN_WAIT1", 1),
    ("FIN_WAIT2", 1),
    ("LAST_ACK", 1),
];
/// The loop's name.
const COMM: &str = "churn";

/// A way to count.
struct Way {
    subject: Subject,
    /// The durations that a connection adds.
    adds: &'static [(&'static str, u64)],
}

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Histograms");
    let lap_ms = if plan.quick { QUICK_LAP_MS } else { LAP_MS };
    section.say(&format!(
        "The same loop in {WORKERS} workers, for {} s without a break, while `tcptrace hist` counts the durations in \
         its network namespace (`--netns`: nothing else is in it); then Ctrl-C, and the last report in JSON. The \
         counts of each state in the report (by program: those under the loop's name) are compared with the durations \
         that the loop produced. Each turn also has a session of the same length in which nothing happens. CPU time is \
         that of the tcptrace process, in its own code and in the kernel, in three parts: until everything is \
         attached, while it counts, and for the last report. Only the second part could grow with the rate, and it is \
         an upper bound of the user CPU time while counting. The user CPU time of the whole session includes start and \
         last report; the kernel measures this figure by sampling.",
        lap_ms / 1000
    ));
    let mut track = Track::new(WORKERS)?;
    let way = |subject: Subject, adds| Way {
        subject: subject.of_netns_in_json(track.netns()),
        adds,
    };
    let ways = [
        way(Subject::hist(plan), OF_CLOSE_WAIT),
        way(Subject::costliest_hist(plan), OF_ALL),
    ];
    track.lap("orderly", 200).context("cannot run the churn")?;
    let mut turns: Vec<_> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds(5) {
        eprintln!("hist, turn {}", round + 1);
        for (way, turns) in ways.iter().zip(&mut turns) {
            plan.patience.wait()?;
            let turn = Turn::take(way, &mut track, lap_ms);
            turns.push(turn.with_context(|| format!("cannot count with {}", way.subject.name))?);
        }
    }
    let (mut counts, mut costs) = (Vec::new(), Vec::new());
    for (way, turns) in ways.iter().zip(&turns) {
        let name = way.subject.name;
        counts.push(count_row(name, turns, &mut section)?);
        let idle = costs_row(name, "no", turns.iter().map(|turn| &turn.idle))?;
        let busy = costs_row(name, "yes", turns.iter().map(|turn| &turn.busy))?;
        costs.extend([idle, busy]);
        let counting = Spread::of(turns.iter().map(|turn| turn.busy.counting))?;
        let what = format!("CPU (user and system) while counting, {name}");
        section.at_most(&what, counting.median, MOST_CPU, " %");
    }
    let head = [
        "attached",
        "durations",
        "durations/s",
        "counted",
        "missing or too many",
        "reported as missing",
    ];
    section.table(&head, &counts);
    let head = [
        "attached",
        "loop",
        "start, CPU ms",
        "counting, CPU %",
        "last report, CPU ms",
        "whole session, user CPU ms",
    ];
    section.table(&head, &costs);
    Ok(section)
}

/// Durations of all turns: produced, counted, wrong.
fn count_row(name: &str, turns: &[Turn], section: &mut Section) -> Result<Vec<String>> {
    let sum = |count: fn(&Turn) -> u64| turns.iter().map(count).sum::<u64>();
    let wrong = sum(|turn| turn.wrong);
    let what = format!("durations missing or too many, {name}");
    section.at_most(&what, wrong as f64, 0.0, "");
    Ok(vec![
        name.into(),
        sum(|turn| turn.made).to_string(),
        Spread::of(turns.iter().map(|turn| turn.rate))?.show(0),
        sum(|turn| turn.counted).to_string(),
        wrong.to_string(),
        sum(|turn| turn.said_missing).to_string(),
    ])
}

fn costs_row<'a>(
    name: &str,
    looping: &str,
    costs: impl Iterator<Item = &'a Cost> + Clone,
) -> Result<Vec<String>> {
    let spread = |value: fn(&Cost) -> f64| Spread::of(costs.clone().map(value));
    Ok(vec![
        name.into(),
        looping.into(),
        spread(|cost| cost.start_ms)?.show(1),
        spread(|cost| cost.counting)?.show(3),
        spread(|cost| cost.end_ms)?.show(1),
        spread(|cost| cost.user_ms)?.show(0),
    ])
}

/// The results of a session with the loop and of one without it.
struct Turn {
    made: u64,
    rate: f64,
    counted: u64,
    wrong: u64,
    said_missing: u64,
    busy: Cost,
    idle: Cost,
}

/// CPU time.
struct Cost {
    start_ms: f64,
    /// Percent of the elapsed time.
    counting: f64,
    end_ms: f64,
    /// Only in the process's own code, from its start to its end.
    user_ms: f64,
}

impl Turn {
    fn take(way: &Way, track: &mut Track, lap_ms: u64) -> Result<Self> {
        let length = Duration::from_millis(lap_ms);
        let (idle, (), _) = session(&way.subject, || interrupt::sleep(length))?;
        let (busy, lap, ended) = session(&way.subject, || track.lap("orderly", lap_ms))?;
        let report = Report::parse(&ended.stdout()?)?;
        let per_connection: u64 = way.adds.iter().map(|(_, adds)| adds).sum();
        Ok(Self {
            made: lap.connections * per_connection,
            rate: per_connection as f64 * 1e9 / lap.wall_ns,
            counted: way
                .adds
                .iter()
                .map(|(state, _)| report.counted(state))
                .sum(),
            wrong: report.wrong(lap.connections, way.adds),
            said_missing: report.tracing.sum(),
            busy,
            idle,
        })
    }
}

/// Attaches the subject, does something, and ends it.
fn session<T>(
    subject: &Subject,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(Cost, T, Ended)> {
    let attached = subject.attach()?.context("there is nothing to attach")?;
    let (begun, before) = (Instant::now(), attached.seconds()?);
    let result = meanwhile()?;
    let (after, elapsed) = (attached.seconds()?, begun.elapsed().as_secs_f64());
    let ended = attached.stop()?;
    let cost = Cost {
        start_ms: before * 1000.0,
        counting: (after - before) / elapsed * 100.0,
        end_ms: (ended.seconds - after) * 1000.0,
        user_ms: ended.cpu.user * 1000.0,
    };
    Ok((cost, result, ended))
}

/// The needed part of the schema `tcptrace.hist/1`.
#[derive(Deserialize)]
struct Report {
    by: Vec<String>,
    histograms: Vec<Histogram>,
    tracing: Tracing,
}

#[derive(Deserialize)]
struct Histogram {
    state: String,
    key: Option<Key>,
    count: u64,
}

#[derive(Deserialize)]
struct Key {
    comm: Option<String>,
}

#[derive(Deserialize)]
struct Tracing {
    lost: u64,
    unkept: u64,
    recursion_misses: Option<u64>,
}

impl Tracing {
    fn sum(&self) -> u64 {
        self.lost + self.unkept + self.recursion_misses.unwrap_or(0)
    }
}

impl Report {
    /// The last report.
    fn parse(text: &str) -> Result<Self> {
        let line = text.lines().last().context("there is no report")?;
        serde_json::from_str(line).context("cannot read the report")
    }

    /// Durations in that state; only those of the loop, if the report is by program.
    fn counted(&self, state: &str) -> u64 {
        let by_comm = self.by.iter().any(|part| part == "comm");
        let is_loop = |histogram: &&Histogram| {
            let comm = histogram.key.as_ref().and_then(|key| key.comm.as_deref());
            !by_comm || comm == Some(COMM)
        };
        self.histograms
            .iter()
            .filter(|histogram| histogram.state == state)
            .filter(is_loop)
            .map(|histogram| histogram.count)
            .sum()
    }

    /// The number missing or too many. Each state counts separately, so that too many in one state do not hide a loss
    /// in another.
    fn wrong(&self, connections: u64, adds: &[(&str, u64)]) -> u64 {
        adds.iter()
            .map(|(state, adds)| (connections * adds).abs_diff(self.counted(state)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{OF_CLOSE_WAIT, Report};

    fn report(by: &str) -> Report {
        let text = format!(
            r#"{{"by":[{by}],"histograms":[
            {{"state":"ESTABLISHED","key":{{"comm":"churn"}},"count":20}},
            {{"state":"CLOSE_WAIT","key":{{"comm":"churn"}},"count":9}},
            {{"state":"CLOSE_WAIT","key":{{"comm":null}},"count":3}},
            {{"state":"CLOSE_WAIT","key":null,"count":1}}],
            "tracing":{{"hook":"btf","lost":1,"unkept":2,"recursion_misses":null}}}}"#
        );
        Report::parse(&text.replace('\n', "")).expect("it is one")
    }

    #[test]
    fn only_the_loop_counts_where_programs_are_told_apart() {
        let by_comm = report(r#""state","comm""#);
        assert_eq!(by_comm.counted("CLOSE_WAIT"), 9);
        assert_eq!(by_comm.counted("LISTEN"), 0);
        assert_eq!(report(r#""state""#).counted("CLOSE_WAIT"), 13);
        assert_eq!(by_comm.tracing.sum(), 3);
    }

    #[test]
    fn too_many_in_one_state_hide_nothing_of_another() {
        let report = report(r#""state","comm""#);
        assert_eq!(report.wrong(9, OF_CLOSE_WAIT), 0);
        assert_eq!(report.wrong(10, OF_CLOSE_WAIT), 1);
        let adds = [("CLOSE_WAIT", 1), ("ESTABLISHED", 2)];
        assert_eq!(report.wrong(10, &adds), 1);
        assert_eq!(report.wrong(9, &adds), 2);
        assert_eq!(report.wrong(5, &[("ESTABLISHED", 3), ("CLOSE_WAIT", 2)]), 6);
    }

    #[test]
    fn no_report_is_an_error() {
        assert!(Report::parse("").is_err());
        assert!(Report::parse("{}").is_err());
    }
}

//! Whether a log of every transition keeps up with the loop, and the CPU time that it needs in user space.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    bench::{
        Plan,
        gauge::{cpu_time::CpuTime, stats::Spread},
        load::track::{Cost, Track},
        report::Section,
        subject::{Subject, summary::Summary},
    },
    interrupt,
};

/// Long enough that the buffer of a program that falls behind is full.
const LAP_MS: u64 = 5000;
const QUICK_LAP_MS: u64 = 1000;
const WORKERS: usize = 2;
/// Transitions of a connection with an orderly close.
const TRANSITIONS: u64 = 10;
/// The largest acceptable CPU time in user space for a million events, in seconds.
const MOST_USER: f64 = 0.5;
/// The smallest acceptable share of transitions with a known owner, in percent.
const LEAST_KNOWN: f64 = 99.9;

/// A way to log, and its targets.
struct Way {
    subject: Subject,
    is_tcptrace: bool,
    most_user: Option<f64>,
}

impl Way {
    fn all(plan: &Plan, others: Vec<Subject>) -> Vec<Self> {
        let tcptrace = |subject, most_user| Self {
            subject,
            is_tcptrace: true,
            most_user,
        };
        let mut all = vec![
            tcptrace(Subject::log(plan), Some(MOST_USER)),
            tcptrace(Subject::log_json(plan), Some(MOST_USER)),
            tcptrace(Subject::log_dir(plan), None),
        ];
        all.extend(others.into_iter().map(|subject| Self {
            subject,
            is_tcptrace: false,
            most_user: None,
        }));
        all
    }
}

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("A log of every transition");
    let lap_ms = if plan.quick { QUICK_LAP_MS } else { LAP_MS };
    section.say(&format!(
        "The same loop in {WORKERS} workers, for {} s without a break, with every transition written into a file. The \
         events are the transitions of the loop, {TRANSITIONS} per connection; lost events are those that were not \
         written. CPU time is that of the logging process for a million lines, minus that of a session of the same \
         length in which nothing happens. On a machine with {WORKERS} cores the workers leave it no core of its own.",
        lap_ms / 1000
    ));
    let (others, missing) = Subject::others();
    let ways = Way::all(plan, others);
    let mut track = Track::new(WORKERS)?;
    track.lap("orderly", 200).context("cannot run the churn")?;
    let mut logs: Vec<_> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds(3) {
        eprintln!("log, turn {}", round + 1);
        for (way, logs) in ways.iter().zip(&mut logs) {
            plan.patience.wait()?;
            let log = Log::take(way, &mut track, lap_ms);
            logs.push(log.with_context(|| format!("cannot log with {}", way.subject.name))?);
        }
    }
    let mut rows = Vec::new();
    for (way, logs) in ways.iter().zip(&logs) {
        rows.push(row(way, logs, &mut section)?);
    }
    let head = [
        "attached",
        "events",
        "events/s",
        "lines",
        "lost",
        "owner known",
        "user CPU, s per million",
        "system CPU, s per million",
    ];
    section.table(&head, &rows);
    if !missing.is_empty() {
        section.say(&format!("Not compared: {}.", missing.join(", ")));
    }
    Ok(section)
}

/// The result of one session.
struct Log {
    events: u64,
    rate: f64,
    lines: u64,
    lost: u64,
    /// The summary of tcptrace.
    summary: Option<Summary>,
    /// CPU time beyond that of an idle session.
    cpu: CpuTime,
}

impl Log {
    fn take(way: &Way, track: &mut Track, lap_ms: u64) -> Result<Self> {
        let attach = || way.subject.attach()?.context("there is nothing to attach");
        let idle = attach()?;
        interrupt::sleep(Duration::from_millis(lap_ms))?;
        let idle = idle.stop()?;
        let attached = attach()?;
        let Cost {
            connections,
            wall_ns,
            ..
        } = track.lap("orderly", lap_ms)?;
        let ended = attached.stop()?;
        let summary = if way.is_tcptrace {
            Some(Summary::parse(&ended.stderr()?)?)
        } else {
            None
        };
        let (events, lines) = (connections * TRANSITIONS, ended.lines()?);
        let not_written = events.saturating_sub(lines);
        Ok(Self {
            events,
            rate: TRANSITIONS as f64 * 1e9 / wall_ns,
            lines,
            // Lines of other traffic on the machine may hide a loss; the reported losses do not depend on it.
            lost: summary.map_or(not_written, |summary| summary.missing.max(not_written)),
            summary,
            cpu: ended.cpu.since(idle.cpu),
        })
    }

    /// Transitions that are neither in the log nor reported as lost.
    fn untold(&self) -> u64 {
        self.summary.map_or(0, |summary| {
            self.events
                .saturating_sub(summary.transitions + summary.missing)
        })
    }

    /// Per million lines.
    fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.lines.max(1) as f64
    }
}

/// Its row in the table; the targets go into the section.
fn row(way: &Way, logs: &[Log], section: &mut Section) -> Result<Vec<String>> {
    let name = way.subject.name;
    let sum = |count: fn(&Log) -> u64| logs.iter().map(count).sum::<u64>();
    let (events, lost) = (sum(|log| log.events), sum(|log| log.lost));
    let user = Spread::of(logs.iter().map(|log| log.per_million(log.cpu.user)))?;
    let system = Spread::of(logs.iter().map(|log| log.per_million(log.cpu.system)))?;
    let rate = Spread::of(logs.iter().map(|log| log.rate))?;
    let mut known = "–".to_owned();
    if way.is_tcptrace {
        section.at_most(&format!("transitions lost, {name}"), lost as f64, 0.0, "");
        section.at_most(
            &format!("transitions neither written nor reported as lost, {name}"),
            sum(Log::untold) as f64,
            0.0,
            "",
        );
        let told = |count: fn(Summary) -> u64| -> u64 {
            logs.iter().filter_map(|log| log.summary).map(count).sum()
        };
        let unknown = told(|summary| summary.without_owner) as f64;
        let all = told(|summary| summary.transitions).max(1) as f64;
        let percent = 100.0 * (1.0 - unknown / all);
        section.at_least(&format!("owner known, {name}"), percent, LEAST_KNOWN, " %");
        known = format!("{percent:.3} %");
    }
    if let Some(most) = way.most_user {
        let what = format!("user CPU for a million transitions, {name}");
        section.at_most(&what, user.median, most, " s");
    }
    Ok(vec![
        name.into(),
        events.to_string(),
        rate.show(0),
        sum(|log| log.lines).to_string(),
        format!("{lost} ({:.2} %)", 100.0 * lost as f64 / events as f64),
        known,
        user.show(2),
        system.show(2),
    ])
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, Log, Summary};

    #[test]
    fn what_is_neither_written_nor_lost() {
        let log = |transitions, missing| Log {
            events: 1000,
            rate: 1.0,
            lines: 500,
            lost: 0,
            summary: Some(Summary {
                transitions,
                without_owner: 0,
                missing,
            }),
            cpu: CpuTime {
                user: 0.0,
                system: 0.0,
            },
        };
        assert_eq!(log(990, 10).untold(), 0);
        assert_eq!(log(990, 3).untold(), 7);
        // It also has transitions of other programs.
        assert_eq!(log(1010, 0).untold(), 0);
        assert_eq!(log(1000, 0).per_million(0.5), 1000.0);
    }
}

//! How much slower connections come and go while something watches.

use super::{Plan, report::Section, stats::Spread, subject::Subject, track::Track};
use anyhow::{Context, Result};

/// A lap is long enough that a live session looks at least once in it.
const LAP_MS: u64 = 2100;
const QUICK_LAP_MS: u64 = 500;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Connection churn");
    section.say(
        "A loop opens a connection over the loopback, exchanges a byte each way and closes it, as fast as it can: 10 \
         transitions a connection. Each turn runs it without and with the program attached, in alternating order; \
         the result is the ratio of the times for one connection. `tcptrace stuck` is a live session that looks \
         every 2 s.",
    );
    let (others, missing) = Subject::others();
    let subjects: Vec<_> = [Subject::nothing(), Subject::tcptrace(plan, "2s")]
        .into_iter()
        .chain(others)
        .collect();
    let mut rows = Vec::new();
    for workers in [1, 2] {
        for (subject, found) in subjects.iter().zip(compare(plan, workers, &subjects)?) {
            rows.push(vec![
                subject.name.into(),
                workers.to_string(),
                found.wall.show(3),
                found.cpu.show(3),
                format!("{:.1} µs", found.without.median / 1000.0),
            ]);
            if subject.name.contains("tcptrace") {
                let plural = if workers == 1 { "" } else { "s" };
                let what = format!("churn with `tcptrace stuck`, {workers} worker{plural}");
                section.at_most(&what, found.wall.median, 1.05, "×");
            }
        }
    }
    let head = [
        "attached",
        "workers",
        "time, ratio",
        "CPU time of the workers, ratio",
        "without",
    ];
    section.table(&head, &rows);
    if !missing.is_empty() {
        section.say(&format!("Not compared: {}.", missing.join(", ")));
    }
    Ok(section)
}

struct Found {
    wall: Spread,
    cpu: Spread,
    without: Spread,
}

/// Runs the turns of all subjects by turns, too, so that all see the same noise.
fn compare(plan: &Plan, workers: usize, subjects: &[Subject]) -> Result<Vec<Found>> {
    let lap_ms = if plan.quick { QUICK_LAP_MS } else { LAP_MS };
    let mut track = Track::new(workers)?;
    track.lap("orderly", 200).context("cannot run the churn")?;
    let mut turns = vec![Vec::new(); subjects.len()];
    for round in 0..plan.rounds(15) {
        eprintln!("churn, {workers} at once, turn {}", round + 1);
        for (subject, turns) in subjects.iter().zip(&mut turns) {
            plan.patience.wait()?;
            let with = |track: &mut Track| {
                let attached = subject.attach()?;
                let cost = track.lap("orderly", lap_ms)?;
                attached.map(|attached| attached.stop()).transpose()?;
                anyhow::Ok(cost)
            };
            let (without, with) = if round % 2 == 0 {
                (track.lap("orderly", lap_ms)?, with(&mut track)?)
            } else {
                let with = with(&mut track)?;
                (track.lap("orderly", lap_ms)?, with)
            };
            turns.push((without, with));
        }
    }
    let found = |turns: Vec<(super::track::Cost, super::track::Cost)>| {
        Ok(Found {
            wall: Spread::of(
                turns
                    .iter()
                    .map(|(without, with)| with.wall_ns / without.wall_ns),
            )?,
            cpu: Spread::of(
                turns
                    .iter()
                    .map(|(without, with)| with.cpu_ns / without.cpu_ns),
            )?,
            without: Spread::of(turns.iter().map(|(without, _)| without.wall_ns))?,
        })
    };
    turns.into_iter().map(found).collect()
}

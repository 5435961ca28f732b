//! How much tracing slows down opening and closing connections.

use anyhow::{Context, Result};

use crate::bench::{
    Plan,
    gauge::stats::Spread,
    load::track::{Cost, Track},
    report::Section,
    subject::{Subject, session::Session},
};

/// A lap is long enough for at least one look of a live session.
const LAP_MS: u64 = 2100;
/// For subjects that handle each transition immediately, a shorter lap is representative.
const STEADY_LAP_MS: u64 = 1000;
const QUICK_LAP_MS: u64 = 500;
/// The largest acceptable ratios.
const MOST_OF_STUCK: f64 = 1.05;
const MOST_OF_LOG: f64 = 1.20;
const MOST_OF_HIST: f64 = 1.15;

/// A subject to compare with no tracing, and how.
struct Contest {
    subject: Subject,
    lap_ms: u64,
    most: Option<f64>,
}

impl Contest {
    fn all(plan: &Plan, others: Vec<Subject>) -> Vec<Self> {
        let contest = |subject, lap_ms, most| Self {
            subject,
            lap_ms: if plan.quick { QUICK_LAP_MS } else { lap_ms },
            most,
        };
        let steady = |subject, most| contest(subject, STEADY_LAP_MS, most);
        let mut all = vec![
            contest(Subject::nothing(), LAP_MS, None),
            contest(Subject::stuck(plan, "2s"), LAP_MS, Some(MOST_OF_STUCK)),
            steady(Subject::hist(plan), Some(MOST_OF_HIST)),
            steady(Subject::hist_by_comm(plan), Some(MOST_OF_HIST)),
            steady(Subject::costliest_hist(plan), Some(MOST_OF_HIST)),
            steady(Subject::log(plan), Some(MOST_OF_LOG)),
            steady(Subject::log_json(plan), None),
            steady(Subject::log_dir(plan), Some(MOST_OF_LOG)),
        ];
        all.extend(others.into_iter().map(|other| steady(other, None)));
        all
    }
}

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Connection churn");
    section.say(
        "A loop opens a connection over the loopback, exchanges a byte each way and closes it, as fast as it can: 10 \
         transitions per connection. Each turn runs the loop without and with the program attached, in alternating \
         order; the result is the ratio of the times per connection. `tcptrace stuck` is a live session that looks \
         every 2 s. `tcptrace hist` counts in the kernel how long sockets were in CLOSE_WAIT, or in each state by \
         program, which costs most of its usual modes. All others report every transition, and write it into a file.",
    );
    let (others, missing) = Subject::others();
    let contests = Contest::all(plan, others);
    let mut rows = Vec::new();
    for workers in [1, 2] {
        for (contest, found) in contests.iter().zip(compare(plan, workers, &contests)?) {
            let name = contest.subject.name;
            rows.push(vec![
                name.into(),
                workers.to_string(),
                found.wall.show(3),
                found.cpu.show(3),
                format!("{:.1} µs", found.without.median / 1000.0),
            ]);
            if let Some(most) = contest.most {
                let plural = if workers == 1 { "" } else { "s" };
                let what = format!("churn with {name}, {workers} worker{plural}");
                section.at_most(&what, found.wall.median, most, "×");
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

/// Also alternates between the subjects, so that all see the same noise.
fn compare(plan: &Plan, workers: usize, contests: &[Contest]) -> Result<Vec<Found>> {
    let mut track = Track::new(workers)?;
    track.lap("orderly", 200).context("cannot run the churn")?;
    let mut turns = vec![Vec::new(); contests.len()];
    for round in 0..plan.rounds(15) {
        eprintln!("churn, {workers} at once, turn {}", round + 1);
        for (contest, turns) in contests.iter().zip(&mut turns) {
            let lap_ms = contest.lap_ms;
            plan.patience.wait()?;
            let with = |track: &mut Track| {
                let attached = contest.subject.attach()?;
                let cost = track.lap("orderly", lap_ms)?;
                attached.map(Session::stop).transpose()?;
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
    let found = |turns: Vec<(Cost, Cost)>| {
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

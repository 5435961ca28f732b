//! Time in the kernel for a transition, as the kernel itself takes it.

use crate::bench::{
    Plan,
    gauge::{bpf_runs, stats::Spread},
    load::track::Track,
    report::Section,
    subject::Subject,
};
use anyhow::{Context, Result};

/// Long enough for 100 000 transitions.
const LAP_MS: u64 = 500;
/// Nanoseconds for a transition to reach.
const MOST_OF_STUCK: f64 = 150.0;
const MOST_OF_LOG: f64 = 450.0;
const MOST_OF_HIST: f64 = 350.0;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Time in the kernel for a transition");
    section.say(
        "The kernel's own count of runs and of the time in them (`BPF_ENABLE_STATS`), over the same loop: the time in \
         all programs of the one that is attached, for each transition of the loop. Closed in an orderly way, each \
         connection goes into CLOSE_WAIT once and out of it once, which `tcptrace stuck` follows, beside 8 \
         transitions that it lets pass; closed by a reset, none is of interest to it. So it is with `tcptrace hist`; of \
         every state and by program, it counts a duration at 8 of 10 transitions (4 of 6), under its owner. `tcptrace log` tells every \
         transition, and has programs beside for who accepts a connection and for the end of a socket, as that has. The counting \
         itself is in it: an empty program counts as about 50 ns.",
    );
    let (others, _) = Subject::others();
    // No look disturbs the laps: it would run the iterators, which are programs of the same process.
    let subjects: Vec<_> = [
        (Subject::stuck(plan, "10min"), Some(MOST_OF_STUCK)),
        (Subject::hist(plan), Some(MOST_OF_HIST)),
        (Subject::dearest_hist(plan), Some(MOST_OF_HIST)),
        (Subject::log(plan), Some(MOST_OF_LOG)),
    ]
    .into_iter()
    .chain(others.into_iter().map(|other| (other, None)))
    .collect();
    let timing = bpf_runs::time_programs()?;
    let mut track = Track::new(1)?;
    let mut rows = Vec::new();
    for (subject, most) in &subjects {
        for (close, how) in [("orderly", "orderly"), ("reset", "by a reset")] {
            let (mean, transitions) = laps(plan, subject, &mut track, close)?;
            rows.push(vec![
                subject.name.into(),
                how.into(),
                format!("{:.1}", transitions.median),
                mean.show(0),
            ]);
            if let Some(most) = *most {
                let what = format!(
                    "in-kernel time for a transition with {}, closed {how}",
                    subject.name
                );
                section.at_most(&what, mean.median, most, " ns");
            }
        }
    }
    drop(timing);
    section.table(
        &[
            "attached",
            "closed",
            "transitions a connection",
            "mean ns for a transition",
        ],
        &rows,
    );
    Ok(section)
}

/// Mean time in all programs for a transition, and transitions for a connection.
fn laps(
    plan: &Plan,
    subject: &Subject,
    track: &mut Track,
    close: &str,
) -> Result<(Spread, Spread)> {
    let attached = subject.attach()?.context("there is nothing to attach")?;
    let runs = || bpf_runs::of(attached.pid())?.context("its programs are gone");
    let (mut means, mut transitions) = (Vec::new(), Vec::new());
    track.lap(close, 100)?;
    for _ in 0..plan.rounds(15) {
        plan.patience.wait()?;
        let before = runs()?;
        let cost = track.lap(close, LAP_MS)?;
        let ran = runs()?.since(&before);
        means.push(ran.mean_ns());
        transitions.push(ran.transitions() as f64 / cost.connections as f64);
    }
    attached.stop()?;
    Ok((Spread::of(means)?, Spread::of(transitions)?))
}

//! Time in the kernel per transition, as the kernel itself measures it.

use anyhow::{Context, Result};

use crate::bench::{
    Plan,
    gauge::{bpf_runs, stats::Spread},
    load::track::Track,
    report::Section,
    subject::Subject,
};

/// Long enough for 100 000 transitions.
const LAP_MS: u64 = 500;
/// The largest acceptable time per transition, in nanoseconds.
const MOST_OF_STUCK: f64 = 150.0;
const MOST_OF_LOG: f64 = 450.0;
const MOST_OF_HIST: f64 = 350.0;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Time in the kernel per transition");
    section.say(
        "The kernel's own statistics of runs and run time (`BPF_ENABLE_STATS`), over the same loop: the time in all \
         BPF programs of the attached tool, per transition of the loop. After an orderly close, each connection enters \
         and leaves CLOSE_WAIT once. `tcptrace stuck` follows these two transitions and ignores the other 8; after a \
         reset, it ignores all. The same holds for `tcptrace hist`. For every state and by program, `tcptrace hist` \
         counts a duration at 8 of 10 transitions (4 of 6 after a reset), with its owner. `tcptrace log` reports every \
         transition. These two also have programs that run at accepts and at the end of a socket. The figures include \
         the cost of the measurement itself: an empty program counts as about 50 ns.",
    );
    let (others, _) = Subject::others();
    // The interval is so long that no look runs during the laps: it would run the iterators, which are programs of the
    // same process.
    let subjects: Vec<_> = [
        (Subject::stuck(plan, "10min"), Some(MOST_OF_STUCK)),
        (Subject::hist(plan), Some(MOST_OF_HIST)),
        (Subject::costliest_hist(plan), Some(MOST_OF_HIST)),
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
                    "in-kernel time per transition with {}, closed {how}",
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
            "transitions per connection",
            "mean ns per transition",
        ],
        &rows,
    );
    Ok(section)
}

/// Mean time in all programs per transition, and transitions per connection.
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

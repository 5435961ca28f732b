//! Time in the kernel for a transition, as the kernel itself takes it.

use super::{Plan, programs, report::Section, stats::Spread, subject::Subject, track::Track};
use anyhow::{Context, Result};

/// Long enough for 100 000 transitions.
const LAP_MS: u64 = 500;

pub fn measure(plan: &Plan) -> Result<Section> {
    let mut section = Section::new("Time in the kernel for a transition");
    section.say(
        "The kernel's own count of runs and of the time in them (`BPF_ENABLE_STATS`), over the same loop. Closed in \
         an orderly way, each connection goes into CLOSE_WAIT once and out of it once, which `tcptrace stuck` \
         follows, beside 8 transitions that it lets pass; closed by a reset, none is of interest to it. The counting \
         itself is in it: an empty program counts as about 50 ns.",
    );
    let (others, _) = Subject::others();
    // No look disturbs the laps: it would run the iterators, which are programs of the same process.
    let subjects: Vec<_> = [Subject::tcptrace(plan, "10min")]
        .into_iter()
        .chain(others)
        .collect();
    let timing = programs::time_them()?;
    let mut track = Track::new(1)?;
    let mut rows = Vec::new();
    for subject in &subjects {
        for (close, how) in [("orderly", "orderly"), ("reset", "by a reset")] {
            let (mean, transitions) = laps(plan, subject, &mut track, close)?;
            rows.push(vec![
                subject.name.into(),
                how.into(),
                format!("{:.1}", transitions.median),
                mean.show(0),
            ]);
            if subject.name.contains("tcptrace") {
                let what = format!("in-kernel time for a transition, closed {how}");
                section.at_most(&what, mean.median, 150.0, " ns");
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

/// Mean time for a transition, and transitions for a connection.
fn laps(
    plan: &Plan,
    subject: &Subject,
    track: &mut Track,
    close: &str,
) -> Result<(Spread, Spread)> {
    let attached = subject.attach()?.context("there is nothing to attach")?;
    let runs = || programs::of(attached.pid())?.context("its programs are gone");
    let (mut means, mut transitions) = (Vec::new(), Vec::new());
    track.lap(close, 100)?;
    for _ in 0..plan.rounds(15) {
        plan.patience.wait()?;
        let before = runs()?;
        let cost = track.lap(close, LAP_MS)?;
        let ran = runs()?.since(before);
        means.push(ran.mean_ns());
        transitions.push(ran.count as f64 / cost.connections as f64);
    }
    attached.stop()?;
    Ok((Spread::of(means)?, Spread::of(transitions)?))
}

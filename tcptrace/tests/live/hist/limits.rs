//! More sockets than there is room for: the unknown ones are counted, and what is shown is true.

use anyhow::{Context, Result, ensure};
use testbed::{Family, Order, Side, Stage, clock::monotonic_ns};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::exact_ns,
        verdict::{Findings, counted, missing},
    },
    hist::check::Stay,
    run::hist::{Histogram, Report, end_all, judge, watch_all},
};

pub fn add(cases: &mut Cases) {
    cases
        .add_in(BOTH, "hist_of_more_than_max_sockets", many_sockets)
        .here_in(Place::Tracepoint);
}

const COUNT: usize = 50;
const LEFT: usize = 5;
const ROOM: u64 = 8;

fn many_sockets(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let words = ["--max-sockets 8", "--max-sockets 8 --by comm"];
    let tools = watch_all(place, stage.netns().inode(), &words)?;
    let pairs = stage.connect(Family::Ipv4, COUNT)?;
    let entered = stage.leak(&pairs, Side::Server)?;
    let first = entered.iter().map(|truth| truth.before_ns).min();
    let last = entered.iter().map(|truth| truth.after_ns).max();
    let (first, last) = (first.context("none")?, last.context("none")?);
    // There was room for the first ones: some of them are closed, some stay.
    let fds = pairs[LEFT..].iter().map(|pair| pair.server.fd).collect();
    let leaving = stage.server.time(&Order::Close { fds })?;
    let left = monotonic_ns();
    let reports = end_all(place, tools)?;
    let ended = monotonic_ns();
    let finished = Stay::between((first, last), (leaving, left)).give_or_take(exact_ns());
    let open = Stay::between((first, last), (left, ended)).give_or_take(exact_ns());
    judge(&reports, |reports| {
        let [unowned, owned] = reports else {
            anyhow::bail!("not two reports");
        };
        let mut findings = Findings::default();
        for report in reports {
            let right = right(report, finished, open);
            findings.take(right.with_context(|| format!("{report:#?}")));
        }
        findings.done()?;
        // Only sockets in the state need room there: those that did not fit are unknown.
        let (ended, open) = unowned.of("CLOSE_WAIT").fold((0, 0), |(ended, open), one| {
            (ended + one.finished.count, open + one.so_far.exact.count)
        });
        let unkept = COUNT as u64 - ROOM - unowned.tracing.unkept.min(COUNT as u64 - ROOM);
        missing(unkept, || format!("unkept: {unowned:#?}"))?;
        ensure!(
            ended + open == ROOM && unowned.tracing.unkept == COUNT as u64 - ROOM,
            "{unowned:#?}"
        );
        // Here every socket needs room, in every state.
        ensure!(owned.tracing.unkept >= COUNT as u64 - ROOM, "{owned:#?}");
        Ok(())
    })
}

/// Every socket is counted once, and no duration is wrong.
fn right(report: &Report, finished: Stay, open: Stay) -> Result<()> {
    let sum = |number: fn(&Histogram) -> u64| report.sum("CLOSE_WAIT", number);
    let ended = sum(|one| one.finished.count + one.unknown + one.at_least.count);
    counted(ended, (COUNT - LEFT) as u64, || "ended".into())?;
    ensure!(sum(|one| one.unknown) > 0, "all are known");
    let still = sum(|one| one.so_far.exact.count + one.so_far.at_least.count);
    counted(still, LEFT as u64, || "still open".into())?;
    for one in &report.histograms {
        ensure!(one.at_least.count == 0, "none is from before");
        for (durations, truth) in [(&one.finished, finished), (&one.so_far.exact, open)] {
            let (Some(bucket), Some(max_ns)) = (durations.buckets.first(), durations.max_ns) else {
                continue;
            };
            ensure!(
                truth.least_ns <= bucket.le_ns && max_ns <= truth.most_ns,
                "{durations:?} does not match {truth:?}"
            );
        }
    }
    Ok(())
}

//! Many connections at once, of which none may be missing.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::clock::slowness;

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
    },
    run::hist::{Report, end_all, judge, watch_all},
    truth::churn::{Churn, PAIRS},
};

pub fn add(cases: &mut Cases) {
    cases.add_alone_in(BOTH, "hist_of_a_churn_misses_nothing", churn);
}

/// Stays of a connection of a churn, both ends'.
const EACH: [(&str, u64); 9] = [
    ("CLOSE_WAIT", 1),
    ("ESTABLISHED", 2),
    ("SYN_SENT", 1),
    ("SYN_RECV", 1),
    ("FIN_WAIT1", 1),
    ("FIN_WAIT2", 1),
    ("CLOSING", 0),
    ("LAST_ACK", 1),
    ("LISTEN", 0),
];

fn churn(place: Place) -> Result<()> {
    let all = match place {
        Place::Btf => 100_000,
        _ => 20_000,
    };
    let count = all / 2 / u64::from(slowness());
    let netns = Churn::netns()?;
    let more = ["", "--all-states", "--all-states --by comm"];
    let tools = watch_all(place, netns.inode(), &more)?;
    let mut churn = Churn::start(netns)?;
    churn.run(usize::try_from(count)?)?;
    let reports = end_all(place, tools)?;
    for (report, more) in reports.iter().zip(more) {
        all_accounted_for(report, 2 * count).with_context(|| format!("hist {more}"))?;
    }
    match place {
        // A second program stands in where the kernel skips the first, from then on. Emulated, kernels that
        // may interrupt a program always skip some before.
        Place::Btf if slowness() == 1 => judge(&reports, |reports| none_missing(reports, count)),
        // With the tracepoint nothing does: on a busy machine there is always something that was skipped.
        _ => none_missing(&reports, count).or_else(|error| {
            let skipped: Vec<_> = (reports.iter())
                .map(|report| report.tracing.recursion_misses)
                .collect();
            if skipped.iter().all(|skipped| *skipped == Some(0)) {
                return Err(error);
            }
            println!("skipped: {skipped:?}");
            Ok(())
        }),
    }
}

fn none_missing(reports: &[Report], count: u64) -> Result<()> {
    let [close_wait, all_states, by_comm] = reports else {
        anyhow::bail!("not three reports");
    };
    for report in reports {
        report.lossless()?;
        for (state, each) in EACH {
            let counted = report.sum(state, |one| one.finished.count);
            let asked = report.states.iter().any(|asked| asked == state);
            let expected = if asked { each * 2 * count } else { 0 };
            ensure!(counted == expected, "{counted} of {state}: {report:#?}");
        }
    }
    ensure!(close_wait.states == ["CLOSE_WAIT"], "{close_wait:#?}");
    ensure!(all_states.states.len() == EACH.len(), "{all_states:#?}");
    // While a process is inside accept() the socket is the listener's no more, and not yet its own.
    let unknown = |state: &str| {
        let nobody = json!({ "comm": null });
        let found = by_comm.keyed(state, Some(&nobody));
        found.map_or(0, |one| one.finished.count)
    };
    for number in PAIRS {
        let of = |role: &str, state: &str| -> Result<u64> {
            let key = json!({ "comm": format!("{role}-{number}") });
            Ok(by_comm.keyed(state, Some(&key))?.finished.count)
        };
        let found = [
            of("serve", "CLOSE_WAIT")? + unknown("CLOSE_WAIT"),
            of("serve", "ESTABLISHED")? + unknown("ESTABLISHED"),
            of("serve", "LAST_ACK")?,
            of("visit", "ESTABLISHED")?,
            of("visit", "SYN_SENT")?,
            of("visit", "FIN_WAIT1")?,
            of("visit", "FIN_WAIT2")?,
        ];
        // Those that are nobody's may be of either pair, and are few.
        let close = |found: &u64| (count..=count + count / 100).contains(found);
        ensure!(found.iter().all(close), "not {count} of each: {found:?}");
    }
    ensure!(by_comm.keys.other == 0, "{:?}", by_comm.keys);
    Ok(())
}

/// Every stay is counted, but for those that the kernel skipped, which it says; and none is invented.
fn all_accounted_for(report: &Report, connections: u64) -> Result<()> {
    let mut missing = 0;
    for (state, each) in EACH {
        if !report.states.iter().any(|asked| asked == state) {
            continue;
        }
        let counted = report.sum(state, |one| one.finished.count);
        let expected = each * connections;
        ensure!(counted <= expected, "{counted} of {state}: {report:#?}");
        missing += expected - counted;
        let other = report.sum(state, |one| one.at_least.count);
        // Whoever accepts a socket whose coming in was skipped knows only since when it is his.
        let excused = report.tracing.recursion_misses != Some(0) && other <= expected - counted;
        ensure!(other == 0 || excused, "{state} from before: {report:#?}");
    }
    let Some(skipped) = report.tracing.recursion_misses else {
        // This kernel does not count them.
        return Ok(());
    };
    let unknown: u64 = report.histograms.iter().map(|one| one.unknown).sum();
    // A skipped run is one duration that is missing, and one of which nobody knows when it began.
    ensure!(
        missing <= 2 * skipped && unknown <= skipped,
        "{missing} missing, {unknown} unknown, {skipped} skipped: {report:#?}"
    );
    Ok(())
}

//! Many connections at once. None may be missing.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::clock::slowness;

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        verdict::{judge, missing, uncounted},
    },
    run::hist::{Report, end_all, watch_all},
    truth::churn::{Churn, PAIRS},
};

pub fn add(cases: &mut Cases) {
    cases
        .add_in(BOTH, "hist_of_a_churn_misses_nothing", churn)
        .alone();
}

/// How many stays each connection of a churn has in each state, at both ends.
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
    // An emulated machine needs half a minute for what a real one does in a second.
    let count = match place {
        _ if slowness() > 1 => 1_000,
        Place::Btf => 20_000,
        // The classic tracepoint: see `of_churn` of `log/limits.rs`.
        _ => 2_000,
    };
    let netns = Churn::netns()?;
    let more = ["", "--all-states", "--all-states --by comm"];
    let tools = watch_all(place, netns.inode(), &more)?;
    let mut churn = Churn::start(netns)?;
    churn.run(usize::try_from(count)?)?;
    let reports = end_all(place, tools)?;
    for (report, more) in reports.iter().zip(more) {
        all_accounted_for(report, 2 * count).with_context(|| format!("hist {more}"))?;
    }
    ensure!(reports[0].states == ["CLOSE_WAIT"], "{:#?}", reports[0]);
    ensure!(reports[1].states.len() == EACH.len(), "{:#?}", reports[1]);
    by_name(&reports[2], count)
}

/// Every stay is counted, and none is invented, however it ended: on a slow machine a process may close before the
/// peer's FIN comes. A skipped run hides the end of one stay, which is then missing. It
/// also hides the beginning of the next, whose duration the report then calls unknown.
fn all_accounted_for(report: &Report, connections: u64) -> Result<()> {
    let (mut absent, mut doubtful) = (0, 0);
    for (state, each) in EACH {
        let asked = report.states.iter().any(|asked| asked == state);
        let expected = if asked { each * connections } else { 0 };
        let finished = report.sum(state, |one| {
            let apart = one.ended.values().sum::<u64>() - one.ended["closed"];
            one.finished.count + apart
        });
        // If the run for a new connection was skipped, the tool knows the socket only since the accept.
        let unknown = report.sum(state, |one| one.unknown + one.at_least.count);
        let told = finished + unknown;
        ensure!(
            told <= expected,
            "{told} of {expected} {state}: {report:#?}"
        );
        absent += expected - told;
        doubtful += unknown;
    }
    let lost = report.tracing.lost + report.tracing.unkept;
    ensure!(lost == 0, "lost: {report:#?}");
    let skipped = report.skipped();
    let unexcused = absent.max(doubtful).saturating_sub(skipped);
    let unexcused = missing(unexcused, || {
        format!("{absent} missing, {doubtful} unknown, {skipped} skipped: {report:#?}")
    });
    // Both ends of each connection have five transitions.
    judge(uncounted(5 * connections), unexcused)
}

/// Each stay counts under the process that owned the socket.
fn by_name(report: &Report, count: u64) -> Result<()> {
    // While a process is inside accept(), the socket no longer belongs to the listener and not yet to the process.
    let unknown = |state: &str| -> Result<u64> {
        let nobody = json!({ "comm": null });
        Ok(report.keyed(state, Some(&nobody))?.finished.count)
    };
    for number in PAIRS {
        let of = |role: &str, state: &str| -> Result<u64> {
            let key = json!({ "comm": format!("{role}-{number}") });
            let one = report.keyed(state, Some(&key))?;
            Ok(one.ended.values().sum())
        };
        let found = [
            of("serve", "CLOSE_WAIT")? + unknown("CLOSE_WAIT")?,
            of("serve", "ESTABLISHED")? + unknown("ESTABLISHED")?,
            of("serve", "LAST_ACK")?,
            of("visit", "ESTABLISHED")?,
            of("visit", "SYN_SENT")?,
            of("visit", "FIN_WAIT1")?,
            of("visit", "FIN_WAIT2")?,
        ];
        // The few stays without an owner may belong to either pair. A skipped run hides two stays, or an owner.
        let least = count.saturating_sub(2 * report.skipped());
        let close = |found: &u64| (least..=count + count / 100).contains(found);
        ensure!(
            found.iter().all(close),
            "not {count} of each, pair {number}: {found:?}: {report:#?}"
        );
    }
    ensure!(report.keys.other == 0, "{:?}", report.keys);
    Ok(())
}

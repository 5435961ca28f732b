//! Sockets from before the start, and sockets that stay open.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::{
    Family, Order, Side, Stage, Truth,
    clock::{monotonic_ns, slowness},
};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::{ABOVE_NS, exact_ns},
        verdict::Findings,
    },
    hist::check::{Stay, agrees, quantiles_agree, stays},
    run::hist::{Durations, Report, end_all, judge, watch_all},
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "hist_of_sockets_from_before", from_before);
    cases
        .add_in(BOTH, "hist_of_a_leak", leak)
        .here_in(Place::Tracepoint);
}

/// How much a lower bound may be below the truth: the kernel keeps this time in ticks of its timer, and on a
/// machine with other work the tool may ask late.
const SHORT_NS: u64 = 200_000_000;
/// How long the sockets exist before the start. A bound that ignores this time is too low by as much.
const EARLIER: Duration = Duration::from_millis(700);

/// Checks that the lower bounds of these stays are close below them, and never above.
fn at_least(found: &Durations, stays: &[Stay]) -> Result<()> {
    let slowness = u64::from(slowness());
    let bounds = |stay: &Stay| Stay {
        least_ns: stay.least_ns.saturating_sub(SHORT_NS * slowness),
        most_ns: stay.most_ns + ABOVE_NS * (slowness - 1),
    };
    agrees(found, &stays.iter().map(bounds).collect::<Vec<_>>())
}

fn until(truth: &Truth, end: (u64, u64)) -> Stay {
    Stay::between((truth.before_ns, truth.after_ns), end)
}

/// For each process, some sockets that it closes while the tool counts and some that it does not close. One that is
/// accepted only then, one that is never accepted, and one that was only connected before.
fn from_before(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let servers = stage.server_leak(Family::Ipv4, 3)?;
    let clients = stage.client_leak(Family::Ipv6, 2)?;
    let waiting = stage.never_accepted(Family::Mapped, 2)?;
    let idle = stage.connect(Family::Ipv4, 1)?;
    std::thread::sleep(EARLIER);
    let netns = stage.netns().inode();
    let tools = watch_all(place, netns, &["", "--by comm", "--all-states"])?;
    let mut closed = Vec::new();
    for (truth, side) in [(&servers[0], Side::Server), (&clients[0], Side::Client)] {
        let (_, fd) = *truth.holders.first().context("no holder")?;
        let before = stage.actor(side).time(&Order::Close { fds: vec![fd] })?;
        closed.push((side, until(truth, (before, monotonic_ns()))));
    }
    // The socket that has waited longest.
    let accepted = stage.accept(Family::Mapped, 1)?;
    let truth = waiting
        .iter()
        .find(|truth| Some(truth.remote) == accepted[0].remote);
    let fds = vec![accepted[0].fd];
    let before = stage.server.time(&Order::Close { fds })?;
    let end = (before, monotonic_ns());
    closed.push((Side::Server, until(truth.context("unknown socket")?, end)));
    // The duration of a socket that enters CLOSE_WAIT now is exact.
    let leak = &stage.leak(&idle, Side::Client)?[0];
    let (_, fd) = *leak.holders.first().context("no holder")?;
    let before = stage.client.time(&Order::Close { fds: vec![fd] })?;
    let exact = until(leak, (before, monotonic_ns())).give_or_take(exact_ns());
    let asked = monotonic_ns();
    let reports = end_all(place, tools)?;
    let end = (asked, monotonic_ns());
    let open: Vec<_> = waiting
        .iter()
        .filter(|truth| Some(truth.remote) != accepted[0].remote)
        .chain(&servers[1..])
        .map(|truth| (Side::Server, until(truth, end)))
        .chain([(Side::Client, until(&clients[1], end))])
        .collect();
    let stays_on = |list: &[(Side, Stay)], on: &[Side]| -> Vec<_> {
        let list = list.iter().filter(|(side, _)| on.contains(side));
        list.map(|(_, stay)| *stay).collect()
    };

    judge(&reports, |reports| {
        let mut findings: Findings = reports.iter().map(Report::lossless).collect();
        let both = [Side::Client, Side::Server];
        let by_comm = |comm| Some(json!({ "comm": comm }));
        let cases = [
            (0, Some(json!({})), &both[..]),
            (1, by_comm("leaky-client"), &both[..1]),
            (1, by_comm("leaky-server"), &both[1..]),
            (2, Some(json!({})), &both[..]),
        ];
        for (index, key, on) in cases {
            let report = &reports[index];
            let found = report.keyed("CLOSE_WAIT", key.as_ref())?;
            let right = at_least(&found.at_least, &stays_on(&closed, on))
                .context("finished")
                .and_then(|()| {
                    at_least(&found.so_far.at_least, &stays_on(&open, on)).context("open")
                })
                .and_then(|()| {
                    let stays = if on.contains(&Side::Client) {
                        vec![exact]
                    } else {
                        Vec::new()
                    };
                    let none = found.so_far.exact.count == 0;
                    ensure!(none, "no open socket entered the state since the start");
                    if stays.is_empty() {
                        ensure!(found.finished.count == 0, "not exact");
                        return Ok(());
                    }
                    agrees(&found.finished, &stays)
                });
            findings.take(right.with_context(|| format!("{key:?}: {report:#?}")));
        }
        findings.done()?;
        for (report, keys) in reports.iter().zip([1, 2, 1]) {
            let found = report.of("CLOSE_WAIT").count();
            ensure!(found == keys, "not {keys}: {report:#?}");
        }
        // Listeners from before the start are still there.
        let listening = reports[2].only("LISTEN")?;
        ensure!(
            listening.so_far.at_least.count == Family::ALL.len() as u64,
            "{listening:#?}"
        );
        Ok(())
    })
}

/// Open sockets are shown besides what has ended, and count in the quantiles only if the user asks for that.
fn leak(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode();
    let tools = watch_all(
        place,
        netns,
        &["", "--include-open", "--by comm --include-open"],
    )?;
    let mut leaked = stage.server_leak(Family::Ipv4, 4)?;
    leaked.extend(stage.never_accepted(Family::Ipv6, 1)?);
    let finished = stays(&mut stage, Family::Ipv4, Side::Server, 10)?;
    let finished: Vec<_> = finished.iter().map(|one| one.stay).collect();
    // Longer than the longest of them, so that the quantiles differ.
    let longest = finished.iter().map(|stay| stay.most_ns).max().unwrap_or(0);
    std::thread::sleep(Duration::from_millis(300) + Duration::from_nanos(longest));
    let asked = monotonic_ns();
    let reports = end_all(place, tools)?;
    judge(&reports, |reports| {
        let keys = [json!({}), json!({}), json!({ "comm": "leaky-server" })];
        let mut findings = Findings::default();
        for (report, key) in reports.iter().zip(keys) {
            findings.take(report.lossless());
            let now = report.monotonic_ns.context("no time")?;
            let ages = leaked
                .iter()
                .map(|truth| until(truth, (asked, now)).give_or_take(exact_ns()));
            let ages: Vec<_> = ages.collect();
            let found = report.keyed("CLOSE_WAIT", Some(&key))?;
            let told = if report.include_open {
                [&finished[..], &ages].concat()
            } else {
                finished.clone()
            };
            let right = agrees(&found.finished, &finished)
                .and_then(|()| agrees(&found.so_far.exact, &ages).context("so far"))
                .and_then(|()| quantiles_agree(&found.quantiles, &told))
                .and_then(|()| {
                    let most = found.quantiles.iter().map(|quantile| quantile.ge_ns).max();
                    let counted = most > Some(longest);
                    ensure!(report.include_open == counted, "counted: {counted}");
                    ensure!(found.so_far.at_least.count == 0, "from before");
                    Ok(())
                });
            findings.take(right.with_context(|| format!("{found:#?}")));
        }
        findings.done()
    })
}

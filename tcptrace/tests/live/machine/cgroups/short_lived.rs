//! Control groups that come and go faster than anybody can look: what happens in them is not lost for it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{clock::slowness, timed};

use super::{Outlook, caveats, last};
use crate::{
    harness::{
        case::Cases,
        cgroup::Cgroup,
        place::Place,
        verdict::{self, Ignored},
    },
    run::{hist, log, tool::Tool},
    truth::churn::{Churn, PAIRS},
};

pub fn add(cases: &mut Cases) {
    let by_number = || log("log-short", Outlook::Unmounted);
    cases
        .add("cgroups_come_and_go_under_log", by_number)
        .alone();
    let by_walks = || log("walked-short", Outlook::OtherProcesses);
    cases
        .add("cgroups_come_and_go_without_numbers", by_walks)
        .alone()
        .here();
    cases
        .add("cgroups_come_and_go_under_hist", hist)
        .alone()
        .here();
    cases
        .add("cgroups_come_and_go_under_looks", looks)
        .alone()
        .here();
}

/// Groups that stay: a walk over all of them takes so much longer.
const STAY: usize = 1000;
/// So often each pair makes so many connections one after another, and then rests: a tool that is not held up
/// follows that easily, also one that was built without optimization.
const LAPS: usize = 100;
const EACH: usize = 20;
const REST: Duration = Duration::from_millis(20);

/// A place for groups that come and go, beside many that stay.
struct Groups {
    // Dropped in this order: what is below first.
    _stay: Vec<Cgroup>,
    root: Cgroup,
}

impl Groups {
    fn new(name: &str) -> Result<Self> {
        let root = Cgroup::new(name)?;
        let stay = 0..STAY / usize::try_from(slowness())?;
        let stay = stay.map(|number| root.below(&format!("stays-{number}")));
        Ok(Self {
            _stay: stay.collect::<Result<_>>()?,
            root,
        })
    }

    /// While `work` runs, moves these processes from group to group; returns how many there were, too.
    fn while_they_go<T>(
        &self,
        pids: &[u32],
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, usize)> {
        let end = AtomicBool::new(false);
        thread::scope(|threads| {
            let mover = threads.spawn(|| -> Result<usize> {
                let mut before = None;
                let mut count = 0;
                while !end.load(Ordering::Relaxed) {
                    let group = self.root.below(&format!("goes-{count}"))?;
                    pids.iter().try_for_each(|pid| group.take(*pid))?;
                    before = Some(group);
                    count += 1;
                }
                pids.iter().try_for_each(|pid| self.root.take(*pid))?;
                drop(before);
                Ok(count)
            });
            let done = work();
            end.store(true, Ordering::Relaxed);
            let count = mover.join().ok().context("the mover panicked")??;
            Ok((done?, count))
        })
    }
}

/// Connections of each pair.
fn count() -> Result<usize> {
    Ok(LAPS * EACH / usize::try_from(slowness())?)
}

/// A churn whose processes move, and how many groups they were in.
fn churn(groups: &Groups, mut churn: Churn) -> Result<usize> {
    let laps = count()? / EACH;
    let ((), moves) = groups.while_they_go(&churn.pids(), || {
        (0..laps).try_for_each(|_| {
            thread::sleep(REST);
            churn.run(EACH)
        })
    })?;
    ensure!(moves > 2, "only {moves} groups came and went");
    // The processes end before the group is removed.
    drop(churn);
    Ok(moves)
}

/// Nothing is lost, and what has a group has the right one.
fn log(name: &str, outlook: Outlook) -> Result<()> {
    let groups = Groups::new(name).map_err(Ignored::because)?;
    let netns = Churn::netns()?;
    let mut tool = outlook.start(&groups.root, &netns, "log --json --hook btf")?;
    tool.until_said(log::READY)?;
    let (moves, span) = timed(|| churn(&groups, Churn::start(netns)?))?;
    let outcome = outlook.end(tool)?.success()?;
    let mut log = log::Log::of(Place::Btf, &outcome.stdout)?;
    log.outcome = outcome;
    let (lost, all) = (log.lost_transitions(), log.transitions.len());
    let owned = log
        .transitions
        .iter()
        .filter(|line| line.subject.pid.is_some());
    let named: Vec<_> = owned
        .clone()
        .filter_map(|line| line.subject.cgroup.as_deref())
        .collect();
    let unnamed = owned.count() - named.len();
    let distinct: BTreeSet<_> = named.iter().collect();
    let ms = (span.after_ns - span.before_ns) / 1_000_000;
    println!(
        "{all} transitions and {lost} lost in {ms} ms and {moves} groups: {unnamed} without a path, {} paths",
        distinct.len()
    );
    // The groups in which nothing began, and those below that had these names.
    let below = format!("{}/goes-", groups.root.path);
    let wrong = distinct
        .iter()
        .find(|path| path.contains("-short") && !path.starts_with(&below));
    ensure!(wrong.is_none(), "a path that nothing had: {wrong:?}");
    ensure!(
        lost == 0,
        "{lost} transitions were lost, {all} not, in {moves} groups"
    );
    // What has no path is said.
    let said = log
        .outcome
        .stderr
        .contains("the control group of an owner was unknown");
    ensure!(
        said == (unnamed > 0),
        "{unnamed} without a path: {}",
        log.outcome.stderr
    );
    let connections = PAIRS.len() * count()?;
    let missing = (connections * 9).saturating_sub(all);
    verdict::allow(
        log.skipped(),
        verdict::missing(missing as u64, || format!("{all}")),
    )
}

/// A report comes soon, and says for how many there is no path.
fn hist() -> Result<()> {
    let groups = Groups::new("hist-short").map_err(Ignored::because)?;
    let netns = Churn::netns()?;
    let inode = netns.inode().to_string();
    let words = [
        "hist",
        "--json",
        "--by",
        "cgroup",
        "--all-states",
        "--netns",
        &inode,
    ];
    let mut tool = Tool::start(Place::Btf, &words)?;
    tool.until_said(hist::READY)?;
    let moves = churn(&groups, Churn::start(netns)?)?;
    let (outcome, span) = timed(|| tool.end())?;
    let report = last(&outcome)?;
    let all = report["histograms"].as_array().context("no histograms")?;
    let unnamed = all
        .iter()
        .filter(|one| one["key"]["cgroup"].is_null())
        .count();
    let ms = (span.after_ns - span.before_ns) / 1_000_000;
    println!(
        "{} histograms of {moves} groups in {ms} ms, {unnamed} without a path",
        all.len()
    );
    let said = caveats(&report, "unknown_control_groups");
    ensure!(
        said.len() == usize::from(unnamed > 0),
        "{unnamed} without a path: {report:#}"
    );
    ensure!(ms < (3000 * slowness()).into(), "the report took {ms} ms");
    Ok(())
}

/// The same of `stuck` and `states`.
fn looks() -> Result<()> {
    let groups = Groups::new("look-short").map_err(Ignored::because)?;
    let netns = Churn::netns()?;
    let inode = netns.inode().to_string();
    let states = [
        "states",
        "--by",
        "cgroup",
        "--json",
        "--netns",
        &inode,
        "--interval",
        "50ms",
    ];
    let stuck = [
        "stuck",
        "--older-than",
        "0s",
        "--state",
        "ESTABLISHED",
        "--json",
        "--netns",
        &inode,
        "--interval",
        "50ms",
    ];
    let tools = [&states[..], &stuck[..]].map(|words| Tool::start(Place::AsIs, words));
    let moves = churn(&groups, Churn::start(netns)?)?;
    for tool in tools {
        let outcome = tool?.end()?;
        let (mut unnamed, mut looks) = (0, 0);
        for line in outcome.stdout.lines() {
            let look: Value = serde_json::from_str(line)?;
            let none = |one: &&Value| one["cgroup"].is_null() && !one["inode"].is_null();
            let sockets = look["sockets"].as_array().into_iter().flatten();
            let here = sockets.filter(none).count();
            let said = caveats(&look, "unknown_control_groups").len();
            ensure!(
                here == 0 || said == 1,
                "{here} sockets without a path: {look:#}"
            );
            unnamed += here;
            looks += 1;
        }
        println!("{looks} looks at {moves} groups, {unnamed} sockets without a path");
        ensure!(looks > 2, "{}", outcome.stderr);
    }
    Ok(())
}

//! In a time namespace clocks are shifted, and the tool's times are still the kernel's.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{Family, Order, Stage, Truth, clock::monotonic_ns};

use crate::{
    harness::{
        case::Cases,
        place::Place,
        time_namespace::{Ahead, Entry, start},
        tolerance::{at_least, let_them_age, short_ns, within},
        verdict::{judge, missing},
    },
    run::{
        hist,
        log::{self, Log},
        tool::{Outcome, Tool},
    },
    stuck::{
        check::{self, Age},
        holders,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add("time_namespace_of_a_look", looks);
    cases.add("time_namespace_of_a_session", session);
    cases.add("time_namespace_of_a_log", of_a_log);
    cases.add("time_namespace_of_hist", of_hist);
    cases.add("time_namespace_before_a_start", before_a_start);
    cases
        .add("time_namespace_of_children_only", of_children)
        .here();
    cases.add("time_namespace_doctor", doctor);
}

/// Far ahead, and so far behind as a clock that must not be negative allows, nearly.
fn shifts() -> [Ahead; 2] {
    let now_ns = monotonic_ns().cast_signed();
    [
        Ahead {
            monotonic_ns: 100_000_500_000_000,
            boottime_ns: 7_000_000_000,
        },
        Ahead {
            monotonic_ns: 700_000_000 - now_ns,
            boottime_ns: -1_000_000_000,
        },
    ]
}

/// The arguments for sockets of any age in a namespace, in JSON.
fn words<'a>(command: &'a [&str], netns: &'a str) -> Vec<&'a str> {
    [command, &["--json", "--netns", netns]].concat()
}

fn run(ahead: Ahead, entry: Entry, arguments: &[&str]) -> Result<Outcome> {
    start(ahead, entry, arguments)?.wait()
}

/// The moments in the lines lie between these.
fn moments(outcome: &Outcome, before_ns: u64, after_ns: u64) -> Result<()> {
    for line in outcome.stdout.lines() {
        let line: Value = serde_json::from_str(line)?;
        let ns = line["monotonic_ns"].as_u64().context("no moment")?;
        ensure!(
            (before_ns..=after_ns).contains(&ns),
            "{before_ns} to {after_ns}: {line}"
        );
    }
    ensure!(!outcome.stdout.is_empty(), "nothing: {outcome:?}");
    Ok(())
}

fn looks() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    let leaks = stage.server_leak(Family::Ipv4, 2)?;
    let_them_age();
    for ahead in shifts() {
        for entry in [Entry::Fork, Entry::Exec] {
            let before_ns = monotonic_ns();
            let stuck = words(&["stuck", "--once", "--older-than", "0s"], &netns);
            let outcome = run(ahead, entry, &stuck)?;
            if entry == Entry::Exec && says_why_not(&outcome)? {
                continue;
            }
            let outcome = outcome.success()?;
            moments(&outcome, before_ns, monotonic_ns())?;
            let look = outcome.snapshots()?.pop().context("no snapshot")?;
            check::exactly(&look, &[(&leaks, Age::AtLeast)])
                .with_context(|| format!("{ahead:?}, {entry:?}"))?;
            ensure!(!outcome.stderr.contains("time"), "{}", outcome.stderr);
            let before_ns = monotonic_ns();
            let outcome = run(ahead, entry, &words(&["states", "--once"], &netns))?;
            moments(&outcome.success()?, before_ns, monotonic_ns())?;
        }
    }
    Ok(())
}

fn session() -> Result<()> {
    for ahead in shifts() {
        let mut stage = Stage::new()?;
        let netns = stage.netns().inode().to_string();
        let before = stage.server_leak(Family::Ipv4, 2)?;
        let_them_age();
        let stuck = ["stuck", "--older-than", "0s", "--interval", "200ms"];
        let mut tool = start(ahead, Entry::Fork, &words(&stuck, &netns))?;
        check::exactly(&tool.fresh()?, &[(&before, Age::AtLeast)])?;
        let after = stage.client_leak(Family::Ipv6, 2)?;
        let look = tool.fresh()?;
        check::exactly(&look, &[(&before, Age::AtLeast), (&after, Age::Exact)])
            .with_context(|| format!("{ahead:?}"))?;
        ensure!(look.monotonic_ns <= monotonic_ns(), "in the future");
        tool.end()?;
    }
    Ok(())
}

/// What was open before the start, and what enters afterwards and stays, has its true age at the end.
fn of_a_log() -> Result<()> {
    for ahead in shifts() {
        let mut stage = Stage::new()?;
        let netns = stage.netns().inode().to_string();
        let before = stage.server_leak(Family::Ipv4, 2)?;
        let_them_age();
        let before_ns = monotonic_ns();
        let mut tool = start(ahead, Entry::Fork, &words(&["log"], &netns))?;
        tool.until_said(log::READY)?;
        let entered = stage.client_leak(Family::Ipv6, 2)?;
        let outcome = tool.end()?;
        moments(&outcome, before_ns, monotonic_ns())?;
        let log = Log::of(Place::AsIs, &outcome.stdout)?;
        let all = before.iter().map(|truth| (truth, false));
        for (truth, exact) in all.chain(entered.iter().map(|truth| (truth, true))) {
            let wrong = |error| format!("{ahead:?}, {truth:?}, {log:#?}: {error:#}");
            let right = of_log(&log, truth, exact);
            judge(
                log.skipped(),
                right.or_else(|error| missing(1, || wrong(error))),
            )?;
        }
    }
    Ok(())
}

fn of_log(log: &Log, truth: &Truth, exact: bool) -> Result<()> {
    let mut open = log.open.iter();
    let line = open.find(|line| {
        let ends = (
            line.subject.local.socket_addr(),
            line.subject.remote.socket_addr(),
        );
        ends == (Some(truth.local), Some(truth.remote))
    });
    let line = line.context("not open")?;
    if exact {
        within(line.monotonic_ns - line.age_ns, truth.entered())
    } else {
        at_least(line.monotonic_ns, line.age_ns, truth.entered(), short_ns())
    }
}

/// A duration that begins before the start, one that begins after it, and one that also ends.
fn of_hist() -> Result<()> {
    for ahead in shifts() {
        let mut stage = Stage::new()?;
        let netns = stage.netns().inode().to_string();
        let before = stage.server_leak(Family::Ipv4, 1)?.pop().context("none")?;
        let_them_age();
        let started_ns = monotonic_ns();
        let mut tool = start(ahead, Entry::Fork, &words(&["hist"], &netns))?;
        tool.until_said(hist::READY)?;
        let after = stage.client_leak(Family::Ipv6, 2)?;
        let (_, fd) = after[0].holders.first().context("no holder")?;
        let closed_ns = stage.client.time(&Order::Close { fds: vec![*fd] })?;
        let_them_age();
        let ending_ns = monotonic_ns();
        let report = hist::last(&tool.end()?)?;
        judge(
            report.skipped(),
            missing(report.skipped(), || "runs".into()),
        )?;
        let now_ns = report.monotonic_ns.context("no moment")?;
        ensure!(
            (started_ns..=monotonic_ns()).contains(&now_ns),
            "{report:#?}"
        );
        let of = report.only("CLOSE_WAIT")?;
        let counts = (
            of.finished.count,
            of.so_far.exact.count,
            of.so_far.at_least.count,
        );
        ensure!(counts == (1, 1, 1), "{ahead:?}: {of:#?}");
        let max_ns = |durations: &hist::Durations| durations.max_ns.context("no maximum");
        let ended_ns = max_ns(&of.finished)?;
        let least_ns = closed_ns.saturating_sub(after[0].after_ns);
        ensure!(
            (least_ns..now_ns - after[0].before_ns).contains(&ended_ns),
            "{of:#?}"
        );
        // They are read after it was told to end, before the report's moment.
        let short_ns = short_ns() + now_ns.saturating_sub(ending_ns);
        for (open, truth) in [
            (&of.so_far.exact, &after[1]),
            (&of.so_far.at_least, &before),
        ] {
            at_least(now_ns, max_ns(open)?, truth.entered(), short_ns)?;
        }
    }
    Ok(())
}

/// There a process may have started before the clock was 0. Still the one that has run longest is the first holder.
fn before_a_start() -> Result<()> {
    let mut stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    thread::sleep(Duration::from_millis(200));
    let leaks = holders::child_and_parent(&mut stage, Family::Ipv4, 2)?;
    let_them_age();
    let started = |pid: u32| started_ns(pid);
    let holders: Vec<u32> = leaks[0].holders.iter().map(|(pid, _)| *pid).collect();
    let [parent, child] = holders[..] else {
        anyhow::bail!("not two: {holders:?}");
    };
    let between_ns = i64::midpoint(started(parent)?, started(child)?);
    let ahead = Ahead {
        monotonic_ns: 0,
        boottime_ns: -between_ns,
    };
    for walk in ["auto", "proc"] {
        let stuck = ["stuck", "--once", "--older-than", "0s", "--walk", walk];
        let outcome = run(ahead, Entry::Fork, &words(&stuck, &netns))?.success()?;
        let look = outcome.snapshots()?.pop().context("no snapshot")?;
        check::exactly(&look, &[(&leaks, Age::AtLeast)])?;
        let first = look.sockets[0].holders.as_ref().and_then(|all| all.first());
        ensure!(first.map(|holder| holder.pid) == Some(parent), "{look:#?}");
    }
    Ok(())
}

/// When a process started, in ns after boot.
fn started_ns(pid: u32) -> Result<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let ticks: i64 = fields.split(' ').nth(19).context("no start")?.parse()?;
    Ok(ticks * 10_000_000)
}

/// The kernel tells the offsets of the namespace of children only, and where that is another one, it starts no thread. The
/// tool says what is wrong, unless the kernel has moved it there.
fn of_children() -> Result<()> {
    let stage = Stage::new()?;
    let netns = stage.netns().inode().to_string();
    for ahead in shifts() {
        for command in [
            &["stuck", "--once"][..],
            &["states", "--once"],
            &["log", "--duration", "100ms"],
            &["hist", "--duration", "100ms"],
        ] {
            let before_ns = monotonic_ns();
            let outcome = run(ahead, Entry::Both, &words(command, &netns))?;
            if !says_why_not(&outcome)? {
                moments(&outcome.success()?, before_ns, monotonic_ns())?;
            }
        }
    }
    Ok(())
}

/// Whether it says that it does not work, because the kernel has not moved it to the namespace of its children.
fn says_why_not(outcome: &Outcome) -> Result<bool> {
    if outcome.code()? != 1 {
        return Ok(false);
    }
    let said = &outcome.stderr;
    let says = said.contains("would be in another one") && said.contains("child process");
    ensure!(says && outcome.stdout.is_empty(), "{outcome:?}");
    Ok(true)
}

/// It says so where the clock is another one, and is silent elsewhere.
fn doctor() -> Result<()> {
    let line = |outcome: Outcome| -> Result<Option<String>> {
        let text = outcome.success()?.stdout;
        let mut lines = text.lines().filter(|line| line.contains("time namespace"));
        Ok(lines.next().map(str::to_owned))
    };
    for (ahead, words) in shifts()
        .into_iter()
        .zip(["is 100000.5s ahead of", "behind"])
    {
        let said = line(run(ahead, Entry::Fork, &["doctor", "--all"])?)?.context("no line")?;
        ensure!(said.contains(words) && said.contains("kernel's"), "{said}");
    }
    let outcome = run(shifts()[0], Entry::Both, &["doctor"])?;
    let works = outcome.code()? == 0;
    let text = &outcome.stdout;
    ensure!(text.contains("would be in another one") != works, "{text}");
    let said = line(Tool::start(Place::AsIs, &["doctor", "--all"])?.wait()?)?;
    ensure!(said.is_none(), "{said:?}");
    Ok(())
}

//! Sockets from before the log began, and sockets that are still open when it ends.

use anyhow::{Context, Result, ensure};
use testbed::{Family, How, Order, Role, Span, Stage, Truth, Whose, timed};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::{at_least, let_them_age, short_ns, within},
        verdict::{self, Findings},
    },
    run::{
        line::{Open, Transition},
        log::{Log, LogTool},
        snapshot::Holder,
    },
};

pub fn add(cases: &mut Cases) {
    cases.add_in(BOTH, "log_from_before", from_before);
}

/// Sockets that leaked before the log began, some of them closed during it, and sockets that leak during the log.
fn from_before(place: Place) -> Result<()> {
    let mut stage = Stage::new()?;
    let mut old = stage.server_leak(Family::Ipv4, 2)?;
    old.extend(stage.client_leak(Family::Ipv6, 2)?);
    old.extend(stage.never_accepted(Family::Mapped, 1)?);
    let idle = stage.connect(Family::Ipv4, 1)?;
    let_them_age();
    let netns = stage.netns().inode();
    let tool = LogTool::watch(place, netns, &[])?;
    let mut new = stage.client_leak(Family::Ipv4, 2)?;
    new.extend(stage.server_leak(Family::Ipv4, 1)?);
    new.extend(stage.never_accepted(Family::Ipv6, 1)?);
    // The server closes the first socket, and the client the third: they have the descriptors.
    let mut closed = Vec::new();
    for truth in [&old[0], &old[2]] {
        let (pid, fd) = *truth.holders.first().context("no holder")?;
        let actor = if pid == stage.server.pid() {
            &mut stage.server
        } else {
            &mut stage.client
        };
        let whose = Whose::of(pid, How::Connect)?;
        let ((), span) = timed(|| actor.tell(&Order::Close { fds: vec![fd] }).map(drop))?;
        closed.push((truth.clone(), whose, span));
    }
    // A connection from before the log goes through the states of a close.
    let fd = idle[0].client.fd;
    let ((), span) = timed(|| stage.client.tell(&Order::Close { fds: vec![fd] }).map(drop))?;
    let log = tool.end()?.lossless()?;
    let mut findings = Findings::default();
    for (truth, whose, span) in &closed {
        let right = was_closed(&log, truth, whose, *span);
        findings.take(right.with_context(|| format!("{truth:#?}")));
    }
    let client = &idle[0].client;
    let ends = (Some(client.local), client.remote);
    let lines = log.transitions.iter().filter(|line| {
        let subject = &line.subject;
        (subject.local.socket_addr(), subject.remote.socket_addr()) == ends
    });
    let first = lines
        .min_by_key(|line| line.monotonic_ns)
        .context("no line")?;
    ensure!(
        (&*first.from, &*first.to) == ("ESTABLISHED", "FIN_WAIT1"),
        "{first:#?}"
    );
    within(first.monotonic_ns, span)?;
    not_wrong(first, &Whose::of(stage.client.pid(), How::Connect)?)?;

    let left = [&old[1], &old[3], &old[4]];
    // The peer of the connection that was closed above leaks now.
    let peer = (idle[0].server.local, client.local);
    let open: Vec<_> = log
        .open
        .iter()
        .filter(|open| ends_of(open) != Some(peer))
        .collect();
    ensure!(
        open.len() == left.len() + new.len() && log.open.len() == open.len() + 1,
        "not {} open and the peer: {:#?}",
        left.len() + new.len(),
        log.open
    );
    for truth in left {
        still_open(&open, truth, "at_least").with_context(|| format!("{truth:#?}"))?;
    }
    for truth in &new {
        let right = still_open(&open, truth, "exact");
        findings.take(right.with_context(|| format!("{truth:#?}")));
    }
    verdict::judge(log.skipped(), findings.done())?;
    let ages: Vec<_> = log.open.iter().map(|open| open.age_ns).collect();
    ensure!(ages.is_sorted_by(|a, b| a >= b), "not the oldest first");
    Ok(())
}

fn ends_of(open: &Open) -> Option<(std::net::SocketAddr, std::net::SocketAddr)> {
    let subject = &open.subject;
    Some((subject.local.socket_addr()?, subject.remote.socket_addr()?))
}

/// Checks that the owner is this process or unknown.
fn not_wrong(line: &Transition, whose: &Whose) -> Result<()> {
    let shown = &line.subject;
    if shown.owner == "unknown" {
        ensure!(shown.pid.is_none() && shown.comm.is_none(), "{line:#?}");
        return Ok(());
    }
    let right = shown.owner == "fd"
        && shown.pid == Some(whose.pid)
        && shown.comm.as_ref() == Some(&whose.comm);
    ensure!(right, "not {whose:?}: {line:#?}");
    Ok(())
}

fn was_closed(log: &Log, truth: &Truth, whose: &Whose, span: Span) -> Result<()> {
    let ends = (Some(truth.local), Some(truth.remote));
    let lines: Vec<_> = log
        .transitions
        .iter()
        .filter(|line| {
            let subject = &line.subject;
            (subject.local.socket_addr(), subject.remote.socket_addr()) == ends
        })
        .collect();
    verdict::missing(u64::from(lines.len() < 2), || {
        format!("of two lines: {lines:#?}")
    })?;
    let [first, last] = lines[..] else {
        anyhow::bail!("not two lines: {lines:#?}");
    };
    let states = [&first.from, &first.to, &last.from, &last.to];
    ensure!(
        states == ["CLOSE_WAIT", "LAST_ACK", "LAST_ACK", "CLOSE"],
        "{lines:#?}"
    );
    for line in [first, last] {
        // The process that closes the socket has it open.
        ensure!(line.subject.owner == "fd", "unknown: {line:#?}");
        not_wrong(line, whose)?;
    }
    within(first.monotonic_ns, span)?;
    let entered = truth.entered();
    match (&*first.duration, first.duration_ns) {
        ("at_least", Some(spent)) => at_least(first.monotonic_ns, spent, entered, short_ns())?,
        other => anyhow::bail!("wrong duration: {other:?}"),
    }
    // The log calls durations unknown if they began before it noticed skipped runs.
    if last.duration == "unknown" && log.skipped_after(first.monotonic_ns) > 0 {
        return Ok(());
    }
    let spent = last.duration_ns.context("no duration")?;
    ensure!(
        last.duration == "exact" && last.monotonic_ns - spent == first.monotonic_ns,
        "{last:#?}"
    );
    Ok(())
}

fn still_open(open: &[&Open], truth: &Truth, age: &str) -> Result<()> {
    let found = open
        .iter()
        .find(|open| ends_of(open) == Some((truth.local, truth.remote)));
    let found = found.context("not listed")?;
    let shown = &found.subject;
    ensure!(found.state == "CLOSE_WAIT", "{found:#?}");
    ensure!(
        truth.cookie.is_none() || shown.cookie.is_none() || shown.cookie == truth.cookie,
        "wrong cookie: {found:#?}"
    );
    let held = found.holders.iter().flatten();
    let held = held.filter_map(Holder::descriptor).collect();
    ensure!(truth.holders == held, "wrong holders: {found:#?}");
    let unseen = age == "exact" && found.age == "at_least";
    verdict::missing(u64::from(unseen), || format!("when it entered: {found:#?}"))?;
    ensure!(found.age == age, "not {age}: {found:#?}");
    let entered = truth.entered();
    if age == "at_least" {
        at_least(found.monotonic_ns, found.age_ns, entered, short_ns())?;
    } else {
        within(found.monotonic_ns - found.age_ns, entered)?;
    }
    let owner = truth.holders.first().map(|(pid, _)| *pid);
    let pid = owner.or(truth.listener);
    ensure!(shown.pid.is_none() || shown.pid == pid, "{found:#?}");
    // The owner is known for a socket that was seen from its first transition on.
    let unknown = age == "exact" && truth.accepted && shown.owner == "unknown";
    verdict::missing(u64::from(unknown), || format!("the owner: {found:#?}"))?;
    if age == "exact" && truth.role == Role::Client {
        ensure!(shown.owner == "connect" && shown.pid == pid, "{found:#?}");
    }
    if age == "exact" && truth.role == Role::Server && truth.accepted {
        ensure!(shown.owner == "accept" && shown.pid == pid, "{found:#?}");
    }
    Ok(())
}

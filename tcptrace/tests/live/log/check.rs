//! Checks a log against the truth.

use std::{collections::BTreeSet, net::SocketAddr};

use anyhow::{Context, Result, anyhow, bail, ensure};
use testbed::{Caller, History, How, Role, Step, Whose, actor::THREAD};

use crate::{
    harness::{
        kernel,
        place::Place,
        tolerance::{EXACT_NS, within},
        verdict::{self, Findings, missing},
    },
    run::{
        line::{Subject, Transition},
        log::Log,
    },
};

/// How much must be known about the process that accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// Everything.
    Known,
    /// The owner may be unknown, or the connection may still count as the listener's.
    Perhaps,
    /// Nothing: a connection counts as its listener's.
    Listeners,
}

/// Checks that a log shows all of these histories completely, and nothing else.
pub fn exactly(log: &Log, netns: u64, histories: &[History], accepts: Accepts) -> Result<()> {
    let (told, mut findings) = found(log, netns, histories, accepts);
    let lines = log.transitions.iter().enumerate();
    let others: Vec<_> = lines.filter(|(n, _)| !told.contains(n)).collect();
    if !others.is_empty() {
        findings.take(Err(anyhow!("invented: {others:#?}")));
    }
    verdict::judge(log.skipped(), findings.done())
}

/// Checks that a log shows these histories. It may show others.
pub fn all(log: &Log, netns: u64, histories: &[History], accepts: Accepts) -> Result<()> {
    let (_, findings) = found(log, netns, histories, accepts);
    verdict::judge(log.skipped(), findings.done())
}

/// The lines of these histories, and what is wrong with them. A skipped run hides one transition of one socket, and
/// perhaps its owner.
fn found(
    log: &Log,
    netns: u64,
    histories: &[History],
    accepts: Accepts,
) -> (BTreeSet<usize>, Findings) {
    let mut told = BTreeSet::new();
    let mut findings = Findings::default();
    for history in histories {
        let numbers = of(log, history);
        let lines: Vec<_> = numbers.iter().map(|n| &log.transitions[*n]).collect();
        let right = tells(log, &lines, netns, history, accepts);
        findings.take(right.with_context(|| format!("in {}", history.case)));
        told.extend(numbers);
    }
    if accepts == Accepts::Perhaps {
        let lines = told.iter().map(|number| &log.transitions[*number]);
        findings.take(most_are_known(lines));
    }
    (told, findings)
}

/// The owner of an incoming connection may be unknown until a process makes a call on it, but not in all lines: four of
/// ten lines come after such a call.
fn most_are_known<'a>(lines: impl Iterator<Item = &'a Transition>) -> Result<()> {
    let of_servers =
        lines.filter(|line| line.subject.remote.port.is_some() && line.subject.role != "client");
    let (known, unknown): (Vec<_>, Vec<_>) =
        of_servers.partition(|line| line.subject.owner != "unknown");
    let (known, all) = (known.len(), known.len() + unknown.len());
    ensure!(
        known * 3 >= all,
        "the owners of only {known} of {all} lines are known"
    );
    Ok(())
}

/// Checks that these lines show a history.
fn tells(
    log: &Log,
    lines: &[&Transition],
    netns: u64,
    history: &History,
    accepts: Accepts,
) -> Result<()> {
    let place = log.place;
    let found: Vec<_> = lines.iter().map(|line| (&*line.from, &*line.to)).collect();
    // A listener's child begins as a copy of the listener. Some ways of tracing see that as a transition.
    let copied = usize::from(found.first() == Some(&("LISTEN", "SYN_RECV")));
    let mut steps = history.steps.clone();
    if copied == 1 {
        steps.insert(
            0,
            Step {
                to: "SYN_RECV",
                ..steps[0].clone()
            },
        );
    }
    let states = history.states();
    let expected: Vec<_> = states.windows(2).map(|pair| (pair[0], pair[1])).collect();
    if found[copied..] != expected {
        let mut left = expected.iter();
        let only_less = found[copied..]
            .iter()
            .all(|one| left.any(|other| one == other));
        missing(u64::from(only_less), || {
            format!("of {expected:?}: {lines:#?}")
        })?;
        bail!("not {expected:?}: {lines:#?}");
    }
    for (index, (line, step)) in lines.iter().zip(&steps).enumerate() {
        let before = index.checked_sub(1).map(|n| (lines[n], &steps[n]));
        // A process that makes a call on a socket has it open: from then on its owner can be known.
        let called = |step: &Step| matches!(step.caller, Caller::Process(_));
        let may_be_unknown = step.doubtful
            || history.role == Role::Server
                && accepts == Accepts::Perhaps
                && !steps[..=index].iter().any(called);
        let unknown = line.subject.owner == "unknown" && !may_be_unknown;
        let right = missing(u64::from(unknown), || "the owner".into())
            .and_then(|()| user_right(&line.subject, &steps[..=index], history))
            .and_then(|()| who_right(place, &line.subject, step, history, accepts))
            .and_then(|()| what_right(place, line, step, history, netns))
            .and_then(|()| caller_right(line, step))
            .and_then(|()| time_right(log, line, step, before));
        right.with_context(|| format!("shown:\n{line:#?}\ntrue:\n{step:#?}"))?;
    }
    Ok(())
}

/// The lines of a socket, found by its cookie, or by its addresses if the cookie is not known.
fn of(log: &Log, history: &History) -> Vec<usize> {
    let is_its = |line: &&Transition| {
        let subject = &line.subject;
        if history.cookie.is_some() && subject.cookie.is_some() {
            return subject.cookie == history.cookie;
        }
        let moment = line.monotonic_ns;
        // Addresses are reused.
        let first = history.steps[0].span.before_ns;
        let meanwhile = first <= moment + EXACT_NS && moment <= history.end_ns() + EXACT_NS;
        let is_at = |step: &Step| {
            let local = subject.local.socket_addr();
            let then = (step.span.before_ns..=step.span.after_ns).contains(&moment);
            let portless = step.portless && local.is_none() && then;
            (portless || local == Some(step.local)) && remote_is(subject, step.remote)
        };
        meanwhile && history.steps.iter().any(is_at)
    };
    let lines = log.transitions.iter().enumerate();
    lines
        .filter(|(_, line)| is_its(line))
        .map(|(number, _)| number)
        .collect()
}

fn remote_is(shown: &Subject, remote: Option<SocketAddr>) -> bool {
    match remote {
        Some(remote) => shown.remote.socket_addr() == Some(remote),
        // The line must be a listener's.
        None => shown.remote.port.is_none() && shown.remote.address.is_unspecified(),
    }
}

/// The processes that made calls on the socket.
fn callers(steps: &[Step]) -> impl DoubleEndedIterator<Item = u32> {
    steps.iter().filter_map(|step| match step.caller {
        Caller::Process(pid) | Caller::Perhaps(pid) => Some(pid),
        Caller::Nobody => None,
    })
}

/// Checks who has taken the socket over, after these steps: whoever else made a call on it.
fn user_right(shown: &Subject, steps: &[Step], history: &History) -> Result<()> {
    let Some(step) = steps.last() else {
        return Ok(());
    };
    let owner = step.owner.pid;
    let opener = shown.opener.as_ref().and_then(|opener| opener.pid);
    let Some(user) = &shown.user else {
        let mut since = steps
            .iter()
            .rev()
            .take_while(|step| step.owner.pid == owner);
        let called = since.find_map(|step| match step.caller {
            Caller::Process(pid) => Some(pid),
            Caller::Nobody | Caller::Perhaps(_) => None,
        });
        let other = called.filter(|pid| *pid != owner && opener == Some(owner));
        ensure!(other.is_none(), "process {other:?} is not its user");
        return Ok(());
    };
    ensure!(user.pid == shown.pid && shown.pid != opener, "two users");
    // A process that makes a call has it open before.
    let mut having = match &*shown.owner {
        "call" => callers(steps).collect::<Vec<_>>(),
        "fd" => callers(&history.steps).collect(),
        other => bail!("a user known by {other}"),
    }
    .into_iter();
    ensure!(having.any(|pid| user.pid == Some(pid)), "an innocent user");
    Ok(())
}

/// Checks the process: it must be the true one, or unknown if that is allowed.
fn who_right(
    place: Place,
    shown: &Subject,
    step: &Step,
    history: &History,
    accepts: Accepts,
) -> Result<()> {
    let accepted = step.owner.how == How::Accept;
    let opener = match (&shown.user, &shown.opener) {
        (Some(_), Some(opener)) => Some(Subject {
            pid: opener.pid,
            comm: Some(opener.comm.clone()),
            owner: opener.known_by.clone(),
            ..shown.clone()
        }),
        // A listener is no opener.
        (Some(_), None) if accepts == Accepts::Listeners => return Ok(()),
        (Some(_), None) => bail!("a user, but no opener"),
        (None, _) => None,
    };
    let is_used = opener.is_some();
    let shown = opener.as_ref().unwrap_or(shown);
    if shown.owner == "unknown" {
        let nothing = shown.pid.is_none() && shown.comm.is_none() && shown.tid.is_none();
        ensure!(nothing, "the owner is unknown, but named");
        return Ok(());
    }
    let listener = history.listener.as_ref();
    if accepts != Accepts::Known && accepted && shown.owner == "fd" {
        // The process that closed it had a descriptor of it, if it is not the one that accepted it.
        let mut having = callers(&history.steps).chain([step.owner.pid]).map(Some);
        ensure!(
            having.any(|pid| shown.pid == pid),
            "the process had no descriptor"
        );
        return Ok(());
    }
    let whose = match (accepts, listener) {
        (Accepts::Listeners, Some(listener)) if accepted => listener,
        (Accepts::Perhaps, Some(listener)) if accepted && shown.owner == "listener" => listener,
        _ => &step.owner,
    };
    let how = match whose.how {
        How::Connect => "connect",
        How::Accept => "accept",
        How::Listen => "listen",
        How::Listener => "listener",
    };
    let by_fd = step.doubtful && shown.owner == "fd";
    if !by_fd && shown.owner == "fd" && shown.pid == Some(whose.pid) {
        return missing(1, || format!("known by its descriptor, not by {how}"));
    }
    ensure!(by_fd || shown.owner == how, "not known by {how}");
    if is_used {
        // Thread and start are those of the user.
        let right = shown.pid == Some(whose.pid) && shown.comm.as_ref() == Some(&whose.comm);
        ensure!(right, "the wrong opener: {whose:?}");
        return Ok(());
    }
    process_right(place, shown, whose)
}

/// Checks that a named process is this one.
pub fn process_right(place: Place, shown: &Subject, whose: &Whose) -> Result<()> {
    ensure!(shown.pid == Some(whose.pid), "the wrong process: {whose:?}");
    // Without type information the name may be the thread's.
    let comm = shown.comm.as_deref();
    let of_thread = place == Place::NoBtf && whose.tid != whose.pid && comm == Some(THREAD);
    ensure!(
        of_thread || comm == Some(&*whose.comm),
        "the wrong name: {whose:?}"
    );
    // All threads of a process share a descriptor, so the line names none of them.
    let tid = (shown.owner != "fd").then_some(whose.tid);
    ensure!(
        shown.tid == tid || shown.owner == "listener" && shown.tid.is_none(),
        "the wrong thread: {whose:?}"
    );
    let ticks = |ns: u64| ns / Whose::TICK_NS;
    let untold = place == Place::NoBtf && shown.started_ns.is_none();
    ensure!(
        untold || shown.started_ns.map(ticks) == Some(ticks(whose.started_ns)),
        "the wrong start: {whose:?}"
    );
    Ok(())
}

fn what_right(
    place: Place,
    line: &Transition,
    step: &Step,
    history: &History,
    netns: u64,
) -> Result<()> {
    let shown = &line.subject;
    let untold = place == Place::NoBtf && shown.netns.is_none();
    ensure!(untold || shown.netns == Some(netns), "wrong namespace");
    ensure!(shown.protocol == "tcp", "wrong protocol");
    let family = if step.local.is_ipv4() { "ipv4" } else { "ipv6" };
    ensure!(shown.family == family, "wrong family, not {family}");
    let role = if history.role == Role::Client {
        "client"
    } else {
        "server"
    };
    // Without type information an incoming connection may look like any other.
    let untold = place == Place::NoBtf && role == "server" && shown.role == "unknown";
    let unknown = !untold && shown.role == "unknown";
    missing(u64::from(unknown), || format!("the role {role}"))?;
    ensure!(untold || shown.role == role, "wrong role, not {role}");
    ensure!(
        shown.cookie.is_some() || place.hook() == "tracepoint" || !kernel::tells_cookies(),
        "no cookie"
    );
    let local = shown.local.socket_addr();
    let portless = step.portless && local.is_none() && shown.local.address == step.local.ip();
    ensure!(portless || local == Some(step.local), "wrong local end");
    ensure!(remote_is(shown, step.remote), "wrong remote end");
    Ok(())
}

fn caller_right(line: &Transition, step: &Step) -> Result<()> {
    let shown = line.caller.as_ref().and_then(|caller| caller.pid);
    let right = match step.caller {
        Caller::Nobody => shown.is_none(),
        Caller::Process(pid) => shown == Some(pid),
        Caller::Perhaps(pid) => shown.is_none_or(|shown| shown == pid),
    };
    ensure!(right, "wrong caller, not {:?}", step.caller);
    if let Some(caller) = &line.caller
        && caller.pid == Some(step.owner.pid)
        && line.subject.owner != "unknown"
        && line.subject.pid == caller.pid
    {
        ensure!(!caller.comm.is_empty(), "a caller without a name");
    }
    Ok(())
}

/// Checks the time of the transition, and how long the socket was in the state before it.
fn time_right(
    log: &Log,
    line: &Transition,
    step: &Step,
    before: Option<(&Transition, &Step)>,
) -> Result<()> {
    within(line.monotonic_ns, step.span).context("the wrong time")?;
    let entered = match (line.duration_ns, &*line.duration) {
        (None, "unknown") => {
            // The time in CLOSE is unknown, both for a new socket and for one that is connected again.
            // The log calls durations unknown if they began before it noticed skipped runs.
            let known = |before: &Transition| log.skipped_after(before.monotonic_ns) == 0;
            let known = before.is_some_and(|(before, _)| known(before));
            let unknown = known && line.from != "CLOSE";
            return missing(u64::from(unknown), || "the duration".into());
        }
        (Some(spent), "exact") => line.monotonic_ns.checked_sub(spent),
        other => anyhow::bail!("wrong duration: {other:?}"),
    };
    let entered = entered.context("the duration is longer than the uptime")?;
    let Some((previous, Step { span, .. })) = before else {
        // The beginning of a listener's child need not be in the log. Its duration is known all the same.
        ensure!(line.from == "SYN_RECV", "exact, but not seen to enter");
        return within(entered, step.span).context("the wrong duration");
    };
    ensure!(
        entered == previous.monotonic_ns,
        "the duration does not begin at the line before, {}",
        previous.monotonic_ns
    );
    within(entered, *span).context("the wrong duration")
}

//! Holding a log against what is true.

use std::{collections::BTreeSet, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use testbed::{Caller, History, How, Role, Step, Whose, actor::THREAD};

use crate::{
    harness::{
        kernel,
        place::Place,
        tolerance::{EXACT_NS, within},
    },
    run::{
        line::{Subject, Transition},
        log::Log,
    },
};

/// What must be known of who accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// All of it.
    Known,
    /// It may be unknown, or still count as the listener's.
    Perhaps,
    /// Nothing: a connection stays its listener's.
    Listeners,
}

/// Checks that a log tells these histories, every one from first to last, and nothing else.
pub fn exactly(log: &Log, netns: u64, histories: &[History], accepts: Accepts) -> Result<()> {
    let told = all(log, netns, histories, accepts)?;
    let lines = log.transitions.iter().enumerate();
    let others: Vec<_> = lines.filter(|(n, _)| !told.contains(n)).collect();
    ensure!(others.is_empty(), "invented: {others:#?}");
    Ok(())
}

/// Checks that a log tells these histories, and says which lines do.
pub fn all(
    log: &Log,
    netns: u64,
    histories: &[History],
    accepts: Accepts,
) -> Result<BTreeSet<usize>> {
    let mut told = BTreeSet::new();
    let mut wrong = Vec::new();
    for history in histories {
        let right = tells(log, netns, history, accepts);
        match right {
            Ok(lines) => told.extend(lines),
            Err(error) => wrong.push(format!("in {}: {error:#}", history.case)),
        }
    }
    // All that is wrong at once: they may have one cause.
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(told)
}

/// Checks one history, and says which lines tell it.
pub fn tells(log: &Log, netns: u64, history: &History, accepts: Accepts) -> Result<Vec<usize>> {
    let numbers = of(log, history);
    let lines: Vec<_> = numbers.iter().map(|n| &log.transitions[*n]).collect();
    let found: Vec<_> = lines.iter().map(|line| (&*line.from, &*line.to)).collect();
    // A listener's child begins as a copy of it. Whether that is a transition depends on how one sees it.
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
    ensure!(found[copied..] == expected, "the log has {lines:#?}");
    for (index, (line, step)) in lines.iter().zip(&steps).enumerate() {
        let before = index.checked_sub(1).map(|n| (lines[n], &steps[n]));
        let right = who_right(log.place, &line.subject, step, history, accepts)
            .and_then(|()| what_right(log.place, line, step, history, netns))
            .and_then(|()| caller_right(line, step))
            .and_then(|()| time_right(line, step, before));
        right.with_context(|| format!("shown:\n{line:#?}\ntrue:\n{step:#?}"))?;
    }
    Ok(numbers)
}

/// The lines of a socket: by its cookie, or by its addresses where that is not known.
fn of(log: &Log, history: &History) -> Vec<usize> {
    let is_its = |line: &&Transition| {
        let subject = &line.subject;
        if history.cookie.is_some() && subject.cookie.is_some() {
            return subject.cookie == history.cookie;
        }
        let moment = line.monotonic_ns;
        // Addresses are used again.
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
        // A listener's.
        None => shown.remote.port.is_none() && shown.remote.address.is_unspecified(),
    }
}

/// The process is the true one, or, where it may be, unknown.
fn who_right(
    place: Place,
    shown: &Subject,
    step: &Step,
    history: &History,
    accepts: Accepts,
) -> Result<()> {
    let accepted = step.owner.how == How::Accept;
    if shown.owner == "unknown" {
        let nothing = shown.pid.is_none() && shown.comm.is_none() && shown.tid.is_none();
        ensure!(nothing, "unknown, and still named");
        let excused = step.doubtful || history.role == Role::Server && accepts == Accepts::Perhaps;
        ensure!(excused, "the owner is not known");
        return Ok(());
    }
    let listener = history.listener.as_ref();
    if accepts == Accepts::Perhaps && accepted && shown.owner == "fd" {
        // Whoever closed it had a descriptor of it, if it was not the one who accepted it.
        let callers = history.steps.iter().filter_map(|step| match step.caller {
            Caller::Process(pid) | Caller::Perhaps(pid) => Some(pid),
            Caller::Nobody => None,
        });
        let mut having = callers.chain([step.owner.pid]).map(Some);
        ensure!(having.any(|pid| shown.pid == pid), "it had no descriptor");
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
    ensure!(by_fd || shown.owner == how, "not known by {how}");
    process_right(place, shown, whose)
}

/// A process that is named is this one.
pub fn process_right(place: Place, shown: &Subject, whose: &Whose) -> Result<()> {
    ensure!(shown.pid == Some(whose.pid), "the wrong process: {whose:?}");
    // Without type information it may be the thread's.
    let comm = shown.comm.as_deref();
    let of_thread = place == Place::NoBtf && whose.tid != whose.pid && comm == Some(THREAD);
    ensure!(
        of_thread || comm == Some(&*whose.comm),
        "the wrong name: {whose:?}"
    );
    // Who has a descriptor has it with all its threads.
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
    // Without type information a connection that came in may look like any other.
    let untold = place == Place::NoBtf && role == "server" && shown.role == "unknown";
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
    let shown = line.caller.as_ref().map(|caller| caller.pid);
    let right = match step.caller {
        Caller::Nobody => shown.is_none(),
        Caller::Process(pid) => shown == Some(pid),
        Caller::Perhaps(pid) => shown.is_none_or(|shown| shown == pid),
    };
    ensure!(right, "the wrong caller, not {:?}", step.caller);
    if let Some(caller) = &line.caller
        && caller.pid == step.owner.pid
        && line.subject.owner != "unknown"
        && line.subject.pid == Some(caller.pid)
    {
        ensure!(!caller.comm.is_empty(), "a caller without a name");
    }
    Ok(())
}

/// The moment is right, and so is the time that was spent in the state before it.
fn time_right(line: &Transition, step: &Step, before: Option<(&Transition, &Step)>) -> Result<()> {
    within(line.monotonic_ns, step.span).context("the wrong moment")?;
    let entered = match (line.duration_ns, &*line.duration) {
        (None, "unknown") => {
            // How long a new socket was closed nobody knows, nor how long one was that is connected again.
            ensure!(before.is_none() || line.from == "CLOSE", "no duration");
            return Ok(());
        }
        (Some(spent), "exact") => line.monotonic_ns.checked_sub(spent),
        other => anyhow::bail!("a duration of {other:?}"),
    };
    let entered = entered.context("longer than the machine runs")?;
    let Some((previous, Step { span, .. })) = before else {
        // That a listener's child begins need not be told for its time to be known.
        ensure!(line.from == "SYN_RECV", "exact, and never seen to enter");
        return within(entered, step.span).context("the wrong duration");
    };
    ensure!(
        entered == previous.monotonic_ns,
        "the duration does not begin with the line before, {}",
        previous.monotonic_ns
    );
    within(entered, *span).context("the wrong duration")
}

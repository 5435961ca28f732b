//! Causes that do not depend on which side of the connections the sockets are.

use std::collections::HashSet;

use crate::{
    diagnosis::cause::{
        case::{Case, SECOND, details, share, unread},
        history::{Left, Past},
    },
    model::{
        cause::{Cause, CauseName, Evidence, Share, Throttled},
        socket::{Role, Socket},
        stuck::look::ProcessInfo,
    },
};

/// Exits so near to each other went together.
const TOGETHER_NS: u64 = 20_000_000;
/// Ages that differ by more did not come together.
const APART_NS: u64 = 100_000_000;
/// So many exits of one moment are no chance.
const LEAST_TOGETHER: usize = 3;
/// A process that begins so soon after a socket's last data may have been made for it: inetd and its like.
const MADE_FOR_IT_NS: u64 = 2 * SECOND;

/// The process does not run. Of a traced or stopped process no thread runs, and nothing in a frozen group does.
pub fn stopped(case: &Case<'_>) -> Option<Cause> {
    let is_stopped = |one: &ProcessInfo| matches!(one.state, 'T' | 't');
    let does_not_run = |one: &&ProcessInfo| is_stopped(one) || one.frozen == Some(true);
    if case.processes.is_empty() || !case.processes.iter().all(does_not_run) {
        return None;
    }
    let mut evidence = Vec::new();
    if case.processes.iter().any(|one| is_stopped(one)) {
        evidence.push(Evidence::ProcessStopped);
    }
    if case.processes.iter().any(|one| one.frozen == Some(true)) {
        evidence.push(Evidence::ProcessFrozen);
    }
    Some(Cause {
        name: CauseName::Stopped,
        evidence,
    })
}

/// Its control group is held back: it is slow, and not stopped.
pub fn throttled(case: &Case<'_>) -> Option<Evidence> {
    let Throttled { periods, throttled } = case.clues?.throttled?;
    (throttled * 10 >= periods && throttled > 0)
        .then_some(Evidence::Throttled { throttled, periods })
}

/// They left together and had not come together: somebody closes what memory does not hold any more.
pub fn garbage_collected(past: &Past) -> Option<Cause> {
    let mut exits: Vec<Left> = past.left.iter().copied().collect();
    exits.retain(|left| left.at_ns.is_some() && left.served);
    exits.sort_by_key(|left| left.at_ns);
    let (mut together, mut moments, mut from) = (0, 0, 0);
    while from < exits.len() {
        let end_ns = exits[from].at_ns.unwrap_or(0) + TOGETHER_NS;
        let count = exits[from..].partition_point(|left| left.at_ns <= Some(end_ns));
        let window = &exits[from..from + count];
        let ages = window.iter().map(|left| left.age_ns);
        let (youngest, oldest) = (ages.clone().min(), ages.max());
        let apart = oldest.unwrap_or(0) - youngest.unwrap_or(0) > APART_NS;
        if count >= LEAST_TOGETHER && apart {
            together += count;
            moments += 1;
            from += count;
        } else {
            from += 1;
        }
    }
    let exits = Share {
        count: together,
        of: past.left.len(),
    };
    (together > 0 && exits.is_at_least(50)).then(|| Cause {
        name: CauseName::GarbageCollected,
        evidence: vec![Evidence::LeftTogether { exits, moments }],
    })
}

/// They come and go.
pub fn churn(case: &Case<'_>, past: &Past) -> Option<Cause> {
    let served: Vec<_> = past.left.iter().filter(|left| left.served).collect();
    let cause = |evidence| Cause {
        name: CauseName::Churn,
        evidence,
    };
    let reads = Past::share(past.read, case.group);
    if reads.is_at_least(50) {
        return Some(cause(vec![Evidence::BytesRead(reads)]));
    }
    // Nobody can come any more, and one after the other leaves: it is worked off.
    let moments: HashSet<u64> = served.iter().map(|left| left.noted_ns).collect();
    let is_draining = case.listeners.as_ref().is_some_and(Vec::is_empty);
    if is_draining && past.read > 0 && moments.len() >= LEAST_TOGETHER {
        let evidence = [Evidence::NoListener, Evidence::BytesRead(reads)];
        return Some(cause(
            evidence.into_iter().chain(past.progress(0)).collect(),
        ));
    }
    // Where it is not known when they left, they may have left together.
    let unknown = |left: &&Left| left.at_ns.is_none() && left.age_ns >= APART_NS && !left.moved;
    let unknown = past.left.iter().filter(unknown).count();
    let gone = past.survivors == 0
        && past.first_count > 0
        && served.len() >= past.first_count.max(LEAST_TOGETHER)
        && unknown * 5 <= past.left.len();
    gone.then(|| {
        let none = Evidence::NoSurvivor {
            first: past.first_count,
            ago_ns: past.watched_ns(case.now_ns),
        };
        cause(std::iter::once(none).chain(past.progress(0)).collect())
    })
}

/// No process has accepted most of them.
pub fn never_accepted(case: &Case<'_>) -> Option<Cause> {
    let unaccepted = Share {
        count: case.group.unaccepted,
        of: case.sockets.len(),
    };
    if !unaccepted.is_at_least(80) {
        return None;
    }
    let mut evidence = vec![Evidence::NeverAccepted(unaccepted)];
    let listeners = case.listeners.iter().flatten();
    evidence.extend(listeners.filter(|one| one.queued > 0).map(|one| {
        let (queued, backlog) = (one.queued, one.backlog);
        Evidence::Queue { queued, backlog }
    }));
    if case.is_nearly_full() {
        let unaccepted = case.group.unaccepted;
        evidence.push(Evidence::NotAcceptedForLackOfDescriptors { unaccepted });
    }
    Some(Cause {
        name: CauseName::NeverAccepted,
        evidence,
    })
}

/// How surely a process only got them when it was forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherited {
    /// Those who hold them can never have used them.
    Surely,
    /// It may be so.
    Perhaps,
}

/// A process holds them that never used them.
pub fn inherited(case: &Case<'_>) -> Option<(Cause, Inherited)> {
    let began = |pid: u32| case.snapshot.processes.get(&pid)?.began_ns;
    let own = case.group.owner.as_ref().map(|owner| owner.pid);
    // Most often it is the owner.
    let own_began = own.and_then(began);
    let began = |pid: u32| {
        if Some(pid) == own {
            own_began
        } else {
            began(pid)
        }
    };
    let held_by_two = share(case.accepted(), |socket| {
        let [first, others @ ..] = socket.holders.as_deref().unwrap_or_default() else {
            return Some(false);
        };
        Some(others.iter().any(|other| other.pid != first.pid))
    });
    // By how much all who hold it began later than its last data, if all did.
    let later_ns = |socket: &Socket| -> Option<u64> {
        let data_ns = details(socket)?.last_data_ns?;
        let sent_ns = details(socket)?.last_sent_ns.unwrap_or(0);
        let mut first_ns = None;
        for holder in socket.holders.iter().flatten() {
            let began_ns = began(holder.pid)?;
            first_ns = Some(first_ns.map_or(began_ns, |ns: u64| ns.min(began_ns)));
        }
        first_ns?.checked_sub(data_ns.max(sent_ns))
    };
    // `/proc` tells the start within 10 ms, and the kernel the data within two ticks.
    let began_later = share(case.accepted(), |socket| {
        Some(later_ns(socket)? > 2 * TOGETHER_NS)
    });
    if !began_later.is_at_least(50) && !held_by_two.is_at_least(50) {
        return None;
    }
    let mut evidence = Vec::new();
    if began_later.is_at_least(50) {
        evidence.push(Evidence::HolderBeganLater(began_later));
    }
    if held_by_two.count > 0 {
        evidence.push(Evidence::HeldByTwo(held_by_two));
    }
    let open = |socket: &Socket| -> Option<bool> {
        let inode = details(socket)?.inode;
        (case.clues?.close_on_exec.get(&inode)).map(|closes| !closes)
    };
    let stays_open = share(case.accepted().filter(|one| open(one).is_some()), open);
    if stays_open.count > 0 {
        evidence.push(Evidence::NotCloseOnExec(stays_open));
    }
    let listeners = case.listeners.iter().flatten();
    let elsewhere = listeners.filter_map(|one| one.pids.as_ref());
    let elsewhere: Vec<_> = elsewhere.flatten().copied().collect();
    if let (Role::Server, Some(own), Some(pid)) = (case.group.role, own, elsewhere.first())
        && !elsewhere.contains(&own)
    {
        evidence.push(Evidence::ListenerElsewhere { pid: *pid });
    }
    // One process for each connection is made when the connection comes, and often after its first data.
    let long_after = share(case.accepted(), |socket| {
        Some(later_ns(socket)? > MADE_FOR_IT_NS)
    });
    let has_several = case.accepted().nth(1).is_some();
    let surely = began_later.is_at_least(80) && (has_several || long_after.is_all());
    let left = case.past.is_some_and(|past| past.served(0) > 0);
    Some((
        Cause {
            name: CauseName::Inherited,
            evidence,
        },
        if surely && !left {
            Inherited::Surely
        } else {
            Inherited::Perhaps
        },
    ))
}

/// The process sends, or waits to be able to.
pub fn sending(case: &Case<'_>) -> Option<Cause> {
    let mut evidence = Vec::new();
    if let Some(past) = case.past {
        let acked = Past::share(past.acked, case.group);
        if acked.is_at_least(50) {
            evidence.push(Evidence::BytesAcked(acked));
        }
    }
    let waiting = share(case.accepted(), |socket| {
        Some(details(socket)?.send_queue? > 0)
    });
    if waiting.is_at_least(50) {
        evidence.push(Evidence::Unacknowledged(waiting));
        let backoff = |socket: &Socket| details(socket)?.backoff;
        let shut = share(case.accepted(), |socket| Some(backoff(socket)? > 0));
        let doubled = case.accepted().filter_map(backoff).max().unwrap_or(0);
        if shut.count > 0 {
            evidence.push(Evidence::WindowShut {
                share: shut,
                doubled,
            });
        }
    }
    (!evidence.is_empty()).then_some(Cause {
        name: CauseName::Sending,
        evidence,
    })
}

/// Whether the peer takes what is sent: something was acknowledged since the first look.
pub fn is_served_by_sending(case: &Case<'_>) -> bool {
    let acked = |past: &Past| Past::share(past.acked, case.group).is_at_least(50);
    case.past.is_some_and(acked)
}

/// How unread bytes are spread, which is a sign by itself.
pub fn spread(case: &Case<'_>) -> Evidence {
    Evidence::Unread(case.group.recv_queues)
}

/// Whether it is known of most how much is unread.
pub fn is_readable(case: &Case<'_>) -> bool {
    let known = share(case.sockets.iter().copied(), |socket| {
        Some(unread(socket).is_some())
    });
    known.is_at_least(50)
}

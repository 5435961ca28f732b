//! Why sockets stay in `CLOSE_WAIT`: rules from what a look shows, and a session has seen, to ranked causes with
//! evidence. The cause and whether it is a leak are two answers.
//!
//! docs/causes.md has the reasons.

mod any_role;
mod case;
mod client;
mod consequence;
mod gap;
mod history;
mod leak;
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use history::History;
use tcptrace_common::TcpState;

use crate::{
    diagnosis::{
        cause::{
            any_role::Inherited,
            case::Case,
            history::growth,
            leak::{Found, Patience},
        },
        stuck::group::members,
    },
    model::{
        cause::{
            Asked, Beside, Cause, CauseName, Clues, Diagnosis, Evidence, Growth, Leak, Share,
            Upstream, WouldTell,
        },
        socket::{Role, Socket},
        stuck::{
            group::{Ends, Group},
            snapshot::Snapshot,
        },
    },
};

/// What is to be read about the processes of a snapshot.
#[must_use]
pub fn asks(snapshot: &Snapshot) -> Asked {
    let mut asked = Asked::default();
    if snapshot.watched.state != TcpState::CloseWait {
        return asked;
    }
    let unanswered = unanswered(snapshot);
    for group in &snapshot.groups {
        let owner = group.owner.as_ref();
        for one in owner.into_iter().chain(&group.candidates) {
            asked.processes.entry(one.pid).or_default();
        }
        // Who has read everything waits for nobody, unless there was nothing to say.
        let queues = group.recv_queues;
        let unread = queues.one + queues.more + group.unaccepted > 0;
        if let (Some(owner), Role::Server) = (owner, group.role)
            && (unread || unanswered.contains(&owner.pid))
        {
            asked.upstreams_of.insert(owner.pid);
        }
        asked.namespaces.extend(group.netns);
    }
    for socket in &snapshot.sockets {
        let inode = socket.details.as_ref().map_or(0, |details| details.inode);
        for holder in socket.holders.iter().flatten() {
            if let (Some(all), Some(fd)) = (asked.processes.get_mut(&holder.pid), holder.fd) {
                all.push((inode, fd));
            }
        }
    }
    asked
}

/// The processes that have a socket on which nothing was ever sent.
fn unanswered(snapshot: &Snapshot) -> HashSet<u32> {
    let silent = |one: &&Socket| case::has_sent(one) == Some(false);
    let silent = snapshot.sockets.iter().filter(silent);
    silent.filter_map(|one| Some(one.process()?.0)).collect()
}

/// Says of each group of a snapshot why its sockets are stuck, and puts causes before what follows from them.
/// `history` is what the session has seen, to which this look is added; `None` for a single look.
pub fn diagnose(snapshot: &mut Snapshot, clues: &Clues, mut history: Option<&mut History>) {
    if snapshot.watched.state != TcpState::CloseWait {
        return;
    }
    let sockets = std::mem::take(&mut snapshot.sockets);
    let all_dead = std::mem::take(&mut snapshot.dead);
    let mut members_of = members(&sockets, &snapshot.groups);
    let mut dead = members(&all_dead, &snapshot.groups);
    if let Some(history) = &mut history {
        history.add(snapshot, &members_of);
    }
    for (members, dead) in members_of.iter_mut().zip(&mut dead) {
        if members.is_empty() {
            std::mem::swap(members, dead);
        }
    }
    let members = members_of;
    let history = history.as_deref();
    let diagnoses: Vec<_> = (snapshot.groups.iter())
        .zip(members.iter().zip(&dead))
        .map(|(group, (members, dead))| one(snapshot, group, (members, dead), clues, history))
        .collect();
    for (group, diagnosis) in snapshot.groups.iter_mut().zip(diagnoses) {
        group.passage = history.and_then(|history| history.passage(group));
        group.diagnosis = Some(Box::new(diagnosis));
    }
    let upstreams = |pid: u32| -> &[Upstream] {
        let clues = clues.processes.get(&pid);
        clues
            .and_then(|one| one.upstreams.as_deref())
            .unwrap_or(&[])
    };
    let order = consequence::link(snapshot, &members, &upstreams);
    let mut groups: Vec<_> = std::mem::take(&mut snapshot.groups)
        .into_iter()
        .map(Some)
        .collect();
    snapshot.groups = order.iter().filter_map(|at| groups[*at].take()).collect();
    snapshot.sockets = sockets;
    snapshot.dead = all_dead;
}

/// Says it of one group.
fn one(
    snapshot: &Snapshot,
    group: &Group,
    (members, dead): (&[&Socket], &[&Socket]),
    clues: &Clues,
    history: Option<&History>,
) -> Diagnosis {
    let owner = group.owner.as_ref();
    let pids: Vec<_> = (owner.into_iter().chain(&group.candidates))
        .map(|one| one.pid)
        .collect();
    let port = match group.ends {
        Ends::At { port, .. } => Some(port),
        Ends::To(_) => None,
    };
    let processes: Vec<_> = pids
        .iter()
        .filter_map(|pid| snapshot.processes.get(pid))
        .collect();
    let case = Case {
        group,
        sockets: members.to_vec(),
        dead: dead.to_vec(),
        now_ns: snapshot.monotonic_ns,
        // Where one of them has ended meanwhile, nothing is said of all.
        processes: if processes.len() == pids.len() {
            processes
        } else {
            Vec::new()
        },
        clues: owner.and_then(|owner| clues.processes.get(&owner.pid)),
        listeners: port.and_then(|port| {
            let all = snapshot.listeners.as_ref()?.iter();
            let here = all.filter(|one| Some(one.netns) == group.netns && one.local.port == port);
            Some(here.collect())
        }),
        // Of those that have died nothing comes or goes any more.
        past: (history.filter(|_| group.sockets > 0)).and_then(|history| history.of(group)),
        snapshot,
    };
    let mut found = causes(&case);
    if let (Some(first), Some(slow)) = (found.causes.first_mut(), any_role::throttled(&case)) {
        first.evidence.push(slow);
    }
    let (leak, mut leak_because) = leak::leak(&case, &found);
    let mut would_tell = leak::would_tell(&case, leak, &found.causes);
    if found.causes.is_empty() {
        let of = case.sockets.len();
        leak_because.push(
            if group.role == Role::Unknown && any_role::is_readable(&case) {
                Evidence::RoleUnknown
            } else {
                Evidence::NotReadable(Share { count: of, of })
            },
        );
        would_tell.insert(0, WouldTell::Look);
    }
    Diagnosis {
        leak,
        beside: beside(&case, clues, leak),
        causes: found.causes,
        leak_because,
        follows_from: None,
        would_tell,
    }
}

/// The causes that fit, best first. The order of the questions is that of docs/causes.md.
fn causes(case: &Case<'_>) -> Found {
    let only = |cause: Cause| Found {
        causes: vec![cause],
        ..Found::default()
    };
    if let Some(cause) = any_role::stopped(case) {
        return only(cause);
    }
    if let Some(past) = case.past {
        let left = any_role::garbage_collected(past).or_else(|| any_role::churn(case, past));
        if let Some(cause) = left {
            return only(cause);
        }
    }
    if let Some(cause) = any_role::never_accepted(case) {
        return Found {
            carries_a_leak: Some(Patience::Work),
            ..only(cause)
        };
    }
    let mut found = by_role(case);
    if let Some((cause, surely)) = any_role::inherited(case) {
        let by_role = std::mem::take(&mut found.causes);
        let rest = by_role.into_iter().filter(|_| surely == Inherited::Perhaps);
        return Found {
            causes: std::iter::once(cause).chain(rest).collect(),
            carries_a_leak: None,
            inherited: Some(surely),
        };
    }
    found
}

fn by_role(case: &Case<'_>) -> Found {
    let sending = any_role::sending(case);
    let found = match case.group.role {
        Role::Server => server::causes(case),
        Role::Client if any_role::is_readable(case) => client::causes(case),
        Role::Client | Role::Unknown => Found::default(),
    };
    match sending {
        None => found,
        Some(cause) => {
            let rest = found.causes.into_iter();
            let rest = rest.filter(|one| one.name != CauseName::Sending);
            Found {
                causes: std::iter::once(cause).chain(rest).collect(),
                carries_a_leak: None,
                inherited: None,
            }
        }
    }
}

/// What is known beside any cause.
fn beside(case: &Case<'_>, clues: &Clues, leak: Leak) -> Beside {
    let sockets = || case.sockets.iter().filter_map(|one| one.details.as_ref());
    let due = sockets()
        .filter_map(|details| details.keepalive_due_ns)
        .min();
    let descriptors = case.clues.and_then(|clues| clues.descriptors);
    let growth = case.past.and_then(growth);
    Beside {
        next_probe_ns: due.map(|ns| ns.saturating_sub(case.now_ns)),
        keepalive: case
            .group
            .netns
            .and_then(|netns| clues.keepalive.get(&netns).copied()),
        runs_out_ns: descriptors
            .filter(|_| leak != Leak::No)
            .and_then(|one| runs_out(one.limit.saturating_sub(one.open), growth?)),
        descriptors,
        residue: residue(case),
        growth,
    }
}

/// In how many ns so many descriptors are used up as the group grows. What came in so short a time comes by chance:
/// its number is right within twice its root.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn runs_out(left: u64, growth: Growth) -> Option<(u64, Option<u64>)> {
    let Growth::Steady { sockets, within_ns } = growth else {
        return None;
    };
    let (count, within) = (sockets as f64, within_ns as f64);
    let spread = 2.0 * count.sqrt();
    let takes = |count: f64| (left as f64 / count * within) as u64;
    let slowest = count - spread;
    Some((
        takes(count + spread),
        (slowest > 0.0).then(|| takes(slowest)),
    ))
}

/// How many sockets of the same process and remote, or port, died and are still open.
fn residue(case: &Case<'_>) -> usize {
    let Some(owner) = &case.group.owner else {
        return 0;
    };
    let all = case.snapshot.residue.iter().flatten();
    all.filter(|one| {
        let is_held = one.holders.iter().any(|holder| holder.pid == owner.pid);
        let same_end = case.group.ends.are_of(one.local, one.remote);
        is_held && same_end && Some(one.netns) == case.group.netns
    })
    .count()
}

//! The sockets that are still open at a moment: those that both the kernel side's table and
//! `sock_diag` know.

use std::collections::HashMap;

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::{before::Before, since::entered_by_segment, tracker::Tracker},
    model::{
        owner::{KnownBy, Owner, Process},
        socket::{Endpoint, Identity, Since, Socket},
        stuck::look::{Listed, Look, Looked, Tracing},
        track::{OpenSockets, TableEntry},
        transition::StillOpen,
    },
};

/// A socket's namespace and addresses, used if it has no cookie.
type SocketPlace = (Option<u32>, Endpoint, Endpoint);

/// Far longer than a listing or a tick takes.
const SOON_NS: u64 = 1_000_000_000;

/// Sockets in the requested states, the oldest of each state first. `pids`: the only processes that
/// are wanted; none for all.
#[must_use]
pub fn still_open(facts: OpenSockets, before: &Before, pids: &[u32]) -> Vec<StillOpen> {
    let OpenSockets {
        time,
        monotonic_ns,
        states,
        table,
        residue: _,
        mut listed,
        listening,
        waiting,
        coverage,
        descriptors,
        lost_ns,
    } = facts;
    let mut look = Look {
        time,
        monotonic_ns,
        entered: Vec::new(),
        listed: Vec::new(),
        coverage,
        looked: Looked::default(),
        listening,
        waiting,
        dead: None,
        held: descriptors,
        processes: HashMap::new(),
        cgroups: HashMap::new(),
        netns_names: HashMap::new(),
        tracing: Tracing::default(),
        caveats: Vec::new(),
    };
    let mut all = Vec::new();
    for state in states {
        let entries = table.iter().filter(|entry| entry.state == state);
        let seen = entries.clone().filter(|entry| !entry.was_before);
        look.entered = seen.map(|entry| entry.entered.clone()).collect();
        let in_state = |socket: &mut Listed| socket.state == state;
        look.listed = listed.extract_if(.., in_state).collect();
        let judge = Judge {
            entries: Entries::new(entries),
            before,
            pids,
            lost_ns,
        };
        let sockets = Tracker::new(state).sockets(&mut look).into_iter();
        let mut open: Vec<_> = sockets
            .filter_map(|socket| judge.still_open(socket, &look))
            .collect();
        open.sort_by_key(|open| open.socket.since.moment_ns());
        all.append(&mut open);
    }
    all
}

/// What else is needed to decide about a socket.
struct Judge<'a> {
    entries: Entries<'a>,
    before: &'a Before,
    pids: &'a [u32],
    /// When something was lost last, in ns of `CLOCK_MONOTONIC`. A socket in a state is in the
    /// table, or was in the state before the start, or entered it before that moment.
    lost_ns: u64,
}

impl Judge<'_> {
    /// The socket with its owner, if it is wanted and was open at the requested moment.
    fn still_open(&self, mut socket: Socket, look: &Look) -> Option<StillOpen> {
        let bound = self.bound(&socket);
        let entry = self.entries.of(&socket);
        if entry.is_none() && bound.is_none() && !self.may_have_entered_unseen(&socket) {
            return None;
        }
        let known = entry.and_then(|entry| entry.owner.as_ref());
        // A process has accepted it unseen.
        let accepted = socket.accepted() == Some(true);
        let outdated = |owner: &&Owner| owner.known_by == KnownBy::Listener && accepted;
        let owner = known.filter(|owner| !outdated(owner)).cloned();
        let owner = owner
            .or_else(|| by_descriptor(&socket))
            .or_else(|| self.waits_at(&socket));
        // For owners that it knows, the kernel side has already applied the filter, including
        // descendants.
        let wanted = match (entry.filter(|_| known.is_some()), &owner) {
            _ if self.pids.is_empty() => true,
            (Some(entry), _) => entry.is_wanted,
            (None, Some(owner)) => self.pids.contains(&owner.process.pid),
            (None, None) => false,
        };
        if !wanted {
            return None;
        }
        socket.since = match (socket.since, bound) {
            (Since::AtLatest(ns), Some(bound)) => Since::AtLatest(ns.min(bound)),
            (since, _) => since,
        };
        socket.set_owner(owner);
        Some(StillOpen {
            time: look.time,
            monotonic_ns: look.monotonic_ns,
            socket,
            residue_of: None,
        })
    }

    /// Whether it may have entered its state unseen. Otherwise it entered after the last transition
    /// that was seen, or has left since it was listed.
    fn may_have_entered_unseen(&self, socket: &Socket) -> bool {
        // Without a cookie, a socket that has no port yet cannot be identified.
        if socket.state == TcpState::SynSent {
            return true;
        }
        // For some states the latest moment of entry is unknown; for others it is known to within a
        // few ticks.
        let vague = !entered_by_segment(socket.state);
        let soon = self.lost_ns.saturating_add(SOON_NS);
        self.lost_ns > 0 && (vague || socket.since.moment_ns() <= soon)
    }

    /// The latest moment at which it can have entered its state, if it was in it before the start.
    fn bound(&self, socket: &Socket) -> Option<u64> {
        let earlier = self.before.of(socket)?;
        (earlier.state == socket.state).then_some(earlier.entered.latest_ns)
    }

    /// The listener at which it has been waiting since before the start.
    fn waits_at(&self, socket: &Socket) -> Option<Owner> {
        let earlier = self.before.of(socket)?;
        let waits = socket.accepted() == Some(false);
        earlier.waits_at.as_deref().filter(|_| waits).cloned()
    }
}

/// The process that has it open, or the one that has the listener open at which it waits.
fn by_descriptor(socket: &Socket) -> Option<Owner> {
    let process = Process::named(socket.process()?);
    let held = socket.holders.as_ref().is_some_and(|held| !held.is_empty());
    Some(Owner {
        process,
        known_by: if held { KnownBy::Fd } else { KnownBy::Listener },
        cgroup: socket.cgroup.clone(),
    })
}

/// The table's entries, indexed.
struct Entries<'a> {
    by_cookie: HashMap<u64, &'a TableEntry>,
    by_place: HashMap<SocketPlace, &'a TableEntry>,
}

impl<'a> Entries<'a> {
    fn new(entries: impl Iterator<Item = &'a TableEntry>) -> Self {
        let mut found = Self {
            by_cookie: HashMap::new(),
            by_place: HashMap::new(),
        };
        for entry in entries {
            let socket = &entry.entered;
            match socket.cookie {
                Some(cookie) => found.by_cookie.insert(cookie, entry),
                None => {
                    let place = (socket.netns, socket.local, socket.remote);
                    found.by_place.insert(place, entry)
                }
            };
        }
        found
    }

    fn of(&self, socket: &Socket) -> Option<&'a TableEntry> {
        let by_cookie = socket
            .identity
            .cookie
            .and_then(|cookie| self.by_cookie.get(&cookie));
        let Identity {
            netns,
            local,
            remote,
            ..
        } = socket.identity;
        let place = (netns, local, remote);
        by_cookie.or_else(|| self.by_place.get(&place)).copied()
    }
}

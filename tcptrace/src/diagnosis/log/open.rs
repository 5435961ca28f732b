//! The sockets that are still open at a moment: those that both the kernel side's table and
//! `sock_diag` know.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::{before::Before, since::entered_by_segment, tracker::Tracker},
    model::{
        filter::is_outside,
        owner::{KnownBy, Owner, Process, only_process},
        socket::{Endpoint, Identity, Since, Socket, others},
        stuck::look::{Listed, Look, Looked, Tracing},
        track::{OpenCgroups, OpenSockets, TableEntry},
        transition::StillOpen,
    },
};

/// A socket's namespace and addresses, used if it has no cookie.
type SocketPlace = (Option<u32>, Endpoint, Endpoint);

/// Far longer than a listing or a tick takes.
const SOON_NS: u64 = 1_000_000_000;

/// Sockets in the requested states, the oldest of each state first. `cgroups`: control groups, as far as
/// they are needed.
#[must_use]
pub fn still_open(facts: OpenSockets, before: &Before, cgroups: &OpenCgroups) -> Vec<StillOpen> {
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
        known,
        followed,
        lost_ns,
    } = facts;
    let mut look = Look {
        time,
        monotonic_ns,
        entered: Vec::new(),
        exits: Vec::new(),
        listed: Vec::new(),
        coverage,
        looked: Looked::default(),
        listening,
        waiting,
        dead: None,
        held: descriptors,
        in_pid_namespace: false,
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
            known: &known,
            followed: followed.as_ref(),
            cgroups,
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
    known: &'a HashMap<u32, Process>,
    followed: Option<&'a HashSet<u32>>,
    cgroups: &'a OpenCgroups,
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
        let known = entry.and_then(|entry| entry.opener.as_ref());
        // A process has accepted it unseen.
        let accepted = socket.accepted() == Some(true);
        let outdated = |owner: &&Owner| owner.known_by == KnownBy::Listener && accepted;
        let owner = known.filter(|owner| !outdated(owner)).cloned();
        let owner = owner
            .or_else(|| self.by_descriptor(&socket))
            .or_else(|| self.waits_at(&socket));
        socket.since = match (socket.since, bound) {
            (Since::AtLatest(ns), Some(bound)) => Since::AtLatest(ns.min(bound)),
            (since, _) => since,
        };
        socket.user = self.user(&socket, entry.and_then(|entry| entry.user.as_ref()), &owner);
        // Before the owner is set, which replaces what a look shows of the listener.
        socket.add_holders_cgroups(|pid| self.cgroups.by_pid.get(&pid));
        let groups = mem::take(&mut socket.other_cgroups);
        let own = socket.details.as_ref().and_then(|known| known.cgroup_id);
        let own = own.and_then(|id| self.cgroups.by_id.get(&id));
        let own = own.map(|path| Arc::from(path.as_str()));
        socket.set_owner(owner);
        socket.other_cgroups = others(socket.cgroup.as_ref(), groups.iter().chain(&own));
        let wanted = match self.followed {
            None => true,
            // The kernel side has applied the filter to the processes that it knows.
            Some(followed) => {
                entry.is_some_and(|entry| entry.is_wanted) || is_of(&socket, followed)
            }
        };
        if !wanted {
            return None;
        }
        Some(StillOpen {
            time: look.time,
            monotonic_ns: look.monotonic_ns,
            socket,
            residue_of: None,
        })
    }

    /// The process that has it open, or the one that has the listener open at which it waits.
    fn by_descriptor(&self, socket: &Socket) -> Option<Owner> {
        let (pid, comm) = socket.process()?;
        let held = socket.holders.as_ref().is_some_and(|held| !held.is_empty());
        Some(Owner {
            process: self.process(pid, comm),
            known_by: if held { KnownBy::Fd } else { KnownBy::Listener },
            cgroup: self.cgroup_of(pid),
        })
    }

    /// The process's control group, if it has a path from the root.
    fn cgroup_of(&self, pid: u32) -> Option<Arc<str>> {
        let path = self.cgroups.by_pid.get(&pid);
        path.filter(|path| !is_outside(path)).cloned()
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

    /// The process with this number, which has this name now.
    fn process(&self, pid: u32, comm: &str) -> Process {
        let known = self.known.get(&pid).filter(|known| *known.comm == *comm);
        let start = known.and_then(|known| known.started_ns);
        Process {
            started_ns: start,
            ..Process::named((pid, comm))
        }
    }

    /// The process that has taken the socket over: the one that the kernel side knows, if it has the socket
    /// still open, otherwise the only one that has.
    fn user(
        &self,
        socket: &Socket,
        known: Option<&Owner>,
        opener: &Option<Owner>,
    ) -> Option<Owner> {
        let holders = match socket.holders.as_deref() {
            None | Some([]) => return known.cloned(),
            Some(holders) => holders,
        };
        let has = |pid: Option<u32>| holders.iter().any(|holder| Some(holder.pid) == pid);
        if let Some(known) = known.filter(|user| has(user.process.pid)) {
            return Some(known.clone());
        }
        let opener = opener.as_ref()?;
        let (pid, comm) = only_process(holders)?;
        (opener.process.pid != Some(pid)).then(|| Owner {
            process: self.process(pid, comm),
            known_by: KnownBy::Fd,
            cgroup: self.cgroup_of(pid),
        })
    }

    /// The listener at which it has been waiting since before the start.
    fn waits_at(&self, socket: &Socket) -> Option<Owner> {
        let earlier = self.before.of(socket)?;
        let waits = socket.accepted() == Some(false);
        earlier.waits_at.as_deref().filter(|_| waits).cloned()
    }
}

/// Whether one of these processes has it open, has opened it, or may accept it.
fn is_of(socket: &Socket, processes: &HashSet<u32>) -> bool {
    let listener = socket.listener.as_ref();
    let candidates = listener.and_then(|listener| listener.holders.as_deref());
    let holders = socket.holders.iter().flatten();
    let holders = holders.chain(candidates.unwrap_or_default());
    let mut pids = holders
        .map(|holder| holder.pid)
        .chain(socket.logged_owner().and_then(|owner| owner.process.pid));
    pids.any(|pid| processes.contains(&pid))
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

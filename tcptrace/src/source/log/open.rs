//! What is still open when a log ends.

use std::collections::{HashMap, HashSet};
use std::io;

use tcptrace_common::{TcpState, TrackedSocket};

use super::{
    super::{
        ask::{self, Scope},
        netns, watched,
    },
    convert::{Converter, Moment},
    side::LogSide,
};
use crate::model::{
    look::{Look, Tracing},
    since::entered_by_segment,
    socket::{Endpoint, Since, Socket},
    tracker::{Tracker, sort_held},
    transition::{Identity, KnownBy, Owner, Process, Protocol, StillOpen},
};

/// A socket's place, for where it has no cookie.
type Place = (Option<u32>, Endpoint, Endpoint);

/// Far longer than listing takes, and than a tick.
const SOON_NS: u64 = 1_000_000_000;

/// Which sockets are asked about.
pub struct Asked<'a> {
    /// Where to look.
    pub scope: &'a Scope,
    /// The states.
    pub states: &'a [TcpState],
    /// The only processes; none for all.
    pub pids: &'a [u32],
    /// When something was lost last, in ns of `CLOCK_MONOTONIC`: who is in a state is in the table, or
    /// was in it before the start, or has been since that moment.
    pub lost_ns: u64,
    /// The moment that is asked about.
    pub now: Moment,
}

impl Asked<'_> {
    /// Whether it is known how the socket came into its state. Else it did so after what was seen
    /// last, or it has left since it was listed.
    fn accounts_for(&self, socket: &Socket, owners: &Owners<'_>, converter: &Converter) -> bool {
        let before = || bound(socket, converter).is_some();
        // Without cookies nothing tells which socket it is that has no port yet.
        let unclear = socket.state == TcpState::SynSent || self.may_have_missed(socket);
        unclear || owners.of(socket).is_some() || before()
    }

    /// Whether it may have come into its state when something was lost. Of some states it is not
    /// known when they were entered at the latest, of others it is, but for some ticks.
    fn may_have_missed(&self, socket: &Socket) -> bool {
        let vague = !entered_by_segment(socket.state);
        let soon = self.lost_ns.saturating_add(SOON_NS);
        self.lost_ns > 0 && (vague || socket.since.moment_ns() <= soon)
    }
}

/// Sockets in the states, the oldest of each state first: what the table and `sock_diag` both know.
///
/// # Errors
/// When the table or `/proc` cannot be read.
pub fn still_open(
    side: &mut LogSide,
    converter: &mut Converter,
    asked: &Asked<'_>,
) -> io::Result<Vec<StillOpen>> {
    let now = asked.now;
    let namespaces = netns::list()?;
    let answers = ask::in_states(asked.scope, asked.states, &namespaces);
    // Read after the list, so that what is listed is in it.
    let table = side.table()?;
    let inodes: HashSet<u64> = (answers.listed.iter())
        .map(|socket| u64::from(socket.details.inode))
        .collect();
    let mut held = None;
    if side.is_owned() && !inodes.is_empty() {
        let mptcp = answers.listed.iter().any(|socket| socket.details.mptcp);
        if let Ok(mut found) = side.holders(&inodes, mptcp) {
            found.held.retain(|held| inodes.contains(&held.inode));
            sort_held(&mut found.held);
            held = Some(found.held);
        }
    }
    let mut look = Look {
        time: now.time,
        monotonic_ns: now.monotonic_ns,
        entered: Vec::new(),
        younger: 0,
        listed: Vec::new(),
        asked: answers.asked,
        listening: answers.listening,
        held,
        processes: HashMap::new(),
        cgroups: HashMap::new(),
        netns_names: namespaces.names,
        tracing: Tracing::default(),
        notes: Vec::new(),
    };
    let mut listed = answers.listed;
    let mut all = Vec::new();
    for state in asked.states {
        let number = state.number();
        let table = (table.iter()).filter(|entry| entry.state == u32::from(number));
        let seen = (table.clone()).filter(|entry| entry.flags & TrackedSocket::BEFORE == 0);
        look.entered = seen
            .filter_map(|entry| watched::entered(&entry.socket))
            .collect();
        look.listed = listed
            .extract_if(.., |socket| socket.state == number)
            .collect();
        let owners = Owners::new(table);
        let mut open: Vec<_> = Tracker::new(*state)
            .sockets(&look)
            .into_iter()
            .filter_map(|socket| {
                let known = asked.accounts_for(&socket, &owners, converter);
                let open = || open(socket, &owners, converter, now, asked.pids);
                known.then(open).flatten()
            })
            .collect();
        open.sort_by_key(|open| open.since.moment_ns());
        all.append(&mut open);
    }
    Ok(all)
}

fn open(
    socket: Socket,
    owners: &Owners<'_>,
    converter: &mut Converter,
    now: Moment,
    pids: &[u32],
) -> Option<StillOpen> {
    let entry = owners.of(&socket);
    let raw = entry.map(|entry| entry.owner());
    let owner = raw.and_then(|raw| {
        let owner = converter.names.owner(raw)?;
        // Somebody has accepted it unseen.
        let outdated = owner.known_by == KnownBy::Listener && socket.accepted() == Some(true);
        (!outdated).then_some(owner)
    });
    let since = match (socket.since, bound(&socket, converter)) {
        (Since::AtLatest(ns), Some(bound)) => Since::AtLatest(ns.min(bound)),
        (since, _) => since,
    };
    let owner = owner.or_else(|| by_descriptor(&socket)).or_else(|| {
        let waits = socket.accepted() == Some(false);
        let earlier = converter.before.get(socket.cookie.filter(|_| waits)?)?;
        earlier.waits_at.clone()
    });
    // The kernel side has decided about the processes that it knows, descendants included.
    let wanted = match (raw.filter(|raw| raw.known_by != 0), &owner) {
        _ if pids.is_empty() => true,
        (Some(raw), _) => raw.wanted != 0,
        (None, Some(owner)) => pids.contains(&owner.process.pid),
        (None, None) => false,
    };
    wanted.then_some(StillOpen {
        time: now.time,
        monotonic_ns: now.monotonic_ns,
        state: socket.state,
        since,
        owner,
        socket: Identity {
            protocol: Protocol::Tcp,
            family: socket.family,
            local: socket.local,
            remote: socket.remote,
            netns: socket.netns,
            cookie: socket.cookie,
            role: socket.role,
        },
        holders: socket.holders,
    })
}

/// The latest moment at which it can have entered its state, if it was in it before the start.
fn bound(socket: &Socket, converter: &Converter) -> Option<u64> {
    (converter.before).at_latest_ns(socket.cookie?, socket.state.number())
}

/// Whoever has it, or the listener where it waits.
fn by_descriptor(socket: &Socket) -> Option<Owner> {
    let (pid, comm) = socket.owner()?;
    let held = socket.holders.as_ref().is_some_and(|held| !held.is_empty());
    Some(Owner {
        process: Process {
            pid,
            tid: None,
            comm: comm.into(),
            started_ns: None,
        },
        known_by: if held { KnownBy::Fd } else { KnownBy::Listener },
        cgroup: socket.cgroup.as_deref().map(Into::into),
    })
}

/// The table's entries, to be found again.
struct Owners<'a> {
    by_cookie: HashMap<u64, &'a TrackedSocket>,
    by_place: HashMap<Place, &'a TrackedSocket>,
}

impl<'a> Owners<'a> {
    fn new(table: impl Iterator<Item = &'a TrackedSocket>) -> Self {
        let (with, without): (Vec<&TrackedSocket>, Vec<_>) =
            table.partition(|entry| entry.socket.cookie != 0);
        let place = |entry: &'a TrackedSocket| {
            let socket = watched::entered(&entry.socket)?;
            Some(((socket.netns, socket.local, socket.remote), entry))
        };
        Self {
            by_cookie: with
                .iter()
                .map(|entry| (entry.socket.cookie, *entry))
                .collect(),
            by_place: without.into_iter().filter_map(place).collect(),
        }
    }

    fn of(&self, socket: &Socket) -> Option<&'a TrackedSocket> {
        let by_cookie = socket.cookie.and_then(|cookie| self.by_cookie.get(&cookie));
        let place = (socket.netns, socket.local, socket.remote);
        by_cookie.or_else(|| self.by_place.get(&place)).copied()
    }
}

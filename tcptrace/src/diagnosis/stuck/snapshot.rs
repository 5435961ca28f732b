//! The sockets that are stuck at a look.

use std::{collections::HashSet, sync::Arc};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::{
        group::{group, groups_of_dead},
        residue::{died_in_close_wait, residue},
        tracker::{Tracker, holders_of},
    },
    model::{
        caveat::Caveat,
        socket::{Endpoint, Role, Socket, Stuck, others},
        stuck::{
            look::{DeadSocket, Look},
            residue::Residue,
            snapshot::{PortListener, Snapshot, Unkept, Watched, Younger},
        },
    },
};

/// The snapshot of a look.
#[must_use]
pub fn snapshot(mut look: Look, tracker: &mut Tracker, watched: &Watched) -> Snapshot {
    let now_ns = look.monotonic_ns;
    let (failed_connects, residue) = dead(&look, watched).unzip();
    let dead = as_if_alive(&look, tracker, watched);
    let tracing = look.tracing;
    let exits = std::mem::take(&mut look.exits);
    let mut caveats = std::mem::take(&mut look.caveats);
    let mut sorted = ByAge::new(MOST_KEPT);
    tracker.each(&mut look, |passing, socket| {
        sorted.add(socket, now_ns, watched, |socket| {
            passing.add(socket, &tracing)
        });
    });
    let sorted = sorted.sort(now_ns, watched);
    let youngest = group(&sorted.young, now_ns, watched).into_iter().next();
    caveats.extend(sorted.caveat());
    let mut groups = group(&sorted.sockets, now_ns, watched);
    groups.extend(groups_of_dead(&dead, &groups, now_ns, watched));
    let sorted_ports = ports(sorted.sockets.iter().chain(&dead));
    let outside = sorted.sockets.iter().filter(|socket| socket.held_outside);
    match outside.count() {
        0 => {}
        count => caveats.push(Caveat::HeldOutside(count as u64)),
    }
    Snapshot {
        time: Some(look.time),
        monotonic_ns: now_ns,
        watched: watched.clone(),
        groups,
        sockets: sorted.sockets,
        stuck: sorted.stuck,
        unkept: sorted.unkept,
        younger: sorted.younger,
        younger_remotes: sorted.younger_remotes,
        youngest,
        left_out: sorted.left_out,
        flow: tracker.end_look(),
        began_ns: None,
        looked: Some(look.looked),
        remainders: sorted.remainders,
        residue,
        dead,
        failed_connects,
        listeners: Some(listeners(&look, &sorted_ports)),
        exits,
        processes: look.processes,
        netns_names: look.netns_names,
        tracing: look.tracing,
        caveats,
    }
}

/// Where the sockets are: namespace and port of this end.
fn ports<'a>(sockets: impl Iterator<Item = &'a Socket>) -> HashSet<(u32, u16)> {
    let place = |one: &Socket| Some((one.identity.netns?, one.identity.local.port));
    sockets.filter_map(place).collect()
}

/// The listeners on these ports.
fn listeners(look: &Look, ports: &HashSet<(u32, u16)>) -> Vec<PortListener> {
    let here = look.listening.iter();
    let here = here.filter(|one| ports.contains(&(one.netns, one.local.port)));
    here.map(|one| PortListener {
        netns: one.netns,
        local: one.local,
        queued: one.queued,
        backlog: one.backlog,
        pids: holders_of(look, one.inode).map(|holders| {
            let mut pids: Vec<_> = holders.iter().map(|holder| holder.pid).collect();
            pids.sort_unstable();
            pids.dedup();
            pids
        }),
    })
    .collect()
}

/// The connects that failed and the residue, if the filter wants them, by holder and remote; `None` if
/// they were not looked for.
fn dead(look: &Look, watched: &Watched) -> Option<(Vec<Residue>, Vec<Residue>)> {
    let all = look.dead.as_ref()?.iter().map(|dead| {
        let holders = holders_of(look, dead.listed.details.inode).unwrap_or_default();
        let pids = holders.iter().map(|holder| holder.pid);
        let groups = pids.filter_map(|pid| look.processes.get(&pid)?.cgroup.as_ref());
        let own = dead.listed.details.cgroup_id;
        let own = own.and_then(|id| look.cgroups.get(&id));
        let own: Option<Arc<str>> = own.map(|path| path.as_str().into());
        let cgroups = others(None, own.iter().chain(groups));
        Residue {
            cgroups,
            ..residue(dead, holders)
        }
    });
    let mut wanted: Vec<_> = all
        .filter(|one| watched.filter.passes_residue(one))
        .collect();
    let process = |one: &Residue| one.holders.first().map(|holder| holder.pid);
    wanted.sort_by_key(|one| (process(one), one.remote, one.local, one.inode));
    let (failed, residue) = wanted.into_iter().partition(|one| one.never_connected);
    Some((failed, residue))
}

/// The dead sockets that were in `CLOSE_WAIT`, if that is watched and the filter wants them, as if they still were in
/// it: why they were not closed is asked of them all the same.
fn as_if_alive(look: &Look, tracker: &Tracker, watched: &Watched) -> Vec<Socket> {
    if watched.state != TcpState::CloseWait {
        return Vec::new();
    }
    let was_in_it = |one: &&DeadSocket| died_in_close_wait(one) == Some(true);
    let all = look.dead.iter().flatten().filter(was_in_it);
    let all = all.map(|dead| tracker.as_if_alive(look, dead));
    all.filter(|socket| watched.filter.passes(socket)).collect()
}

/// Sockets by their age.
#[derive(Debug, Default)]
pub struct ByAge {
    /// Those that are stuck, the oldest first, and then those that may be, of which may be the oldest
    /// first.
    pub sockets: Vec<Socket>,
    /// How many of them are stuck.
    pub stuck: usize,
    /// Those for which there was no room, beside both.
    pub unkept: Unkept,
    /// How many are kept at most.
    most: usize,
    /// The others that pass the filter.
    pub younger: Younger,
    /// Where those go that this end connected.
    pub younger_remotes: HashSet<(Option<u32>, Endpoint)>,
    /// The first of these, as long as nothing is stuck or may be.
    pub young: Vec<Socket>,
    /// Remainders among both.
    pub remainders: usize,
    /// How many are stuck or may be and do not pass the filter.
    pub left_out: usize,
}

/// How many sockets are kept: they and what is made of them take about 200 MB.
const MOST_KEPT: usize = 200_000;
/// How many younger ones are kept to find the largest group among them, and how many of their remotes.
const MOST_YOUNG: usize = 10_000;

impl ByAge {
    /// None yet; of those that are listed at most so many are kept.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// Adds a socket that has been in the state for long enough, may have been, or is younger. `each` is given it if
    /// it passes the filter.
    pub fn add(
        &mut self,
        socket: Socket,
        now_ns: u64,
        watched: &Watched,
        each: impl FnOnce(&Socket),
    ) {
        let kind = socket.stuck(now_ns, watched.older_than_ns);
        if !watched.filter.passes(&socket) {
            self.left_out += usize::from(kind.is_some());
            return;
        }
        each(&socket);
        let details = socket.details.as_ref();
        self.remainders += usize::from(details.is_some_and(|details| details.remainder));
        let Some(kind) = kind else {
            let younger = &mut self.younger;
            younger.count += 1;
            let at_most_ns = socket.age_at_most_ns(now_ns).unwrap_or(0);
            younger.oldest_at_most_ns = younger.oldest_at_most_ns.max(at_most_ns);
            let identity = &socket.identity;
            if identity.role == Role::Client && self.younger_remotes.len() < MOST_YOUNG {
                self.younger_remotes
                    .insert((identity.netns, identity.remote));
            }
            if self.sockets.is_empty() && self.young.len() < MOST_YOUNG {
                self.young.push(socket);
            }
            return;
        };
        self.young = Vec::new();
        if self.sockets.len() >= self.most {
            match kind {
                Stuck::Yes => self.unkept.stuck += 1,
                Stuck::MayBe => self.unkept.may_be += 1,
            }
            return;
        }
        self.stuck += usize::from(kind == Stuck::Yes);
        self.sockets.push(socket);
    }

    /// All of them, in order.
    #[must_use]
    pub fn sort(mut self, now_ns: u64, watched: &Watched) -> Self {
        self.sockets.sort_by_cached_key(|socket| {
            let kind = socket.stuck(now_ns, watched.older_than_ns);
            let earliest_ns = socket.earliest_ns.filter(|_| kind == Some(Stuck::MayBe));
            (
                kind,
                earliest_ns,
                socket.since.moment_ns(),
                socket.identity.cookie,
            )
        });
        self
    }

    /// What is to be said about those for which there was no room.
    #[must_use]
    pub fn caveat(&self) -> Option<Caveat> {
        let count = self.unkept.count() as u64;
        (count > 0).then_some(Caveat::OnlyCounted {
            count,
            kept: self.sockets.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fixtures::{NOW_NS, SECOND, end, listed, look, snapshot, watched},
        model::socket::Since,
    };

    #[test]
    fn a_lower_bound_below_the_threshold_is_not_younger() {
        let socket = |cookie, at_least_s: u64, at_most_s: Option<u64>| {
            let mut one = listed(cookie, end("10.0.0.1", 80), end("10.0.0.2", 9), at_least_s);
            one.data_not_before_ns = at_most_s.map(|seconds| NOW_NS - seconds * SECOND);
            one
        };
        let mut look = look();
        look.listed = vec![
            socket(1, 2, Some(29)),
            socket(2, 2, Some(36)),
            socket(3, 31, Some(40)),
            socket(4, 2, None),
            socket(5, 40, None),
        ];
        let snapshot = snapshot(look);
        let cookies = snapshot.sockets.iter().map(|one| one.identity.cookie);
        let order: Vec<_> = cookies.flatten().collect();
        assert_eq!(order, [5, 3, 4, 2]);
        assert_eq!((snapshot.stuck, snapshot.may_be()), (2, 2));
        let younger = snapshot.younger;
        assert_eq!((younger.count, younger.oldest_at_most_ns), (1, 29 * SECOND));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut sorted = ByAge::new(3);
        for (age_s, at_most_s) in [(40, 40), (40, 40), (2, 40), (40, 40), (2, 40), (1, 1)] {
            let mut one = listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9), age_s);
            one.data_not_before_ns = Some(NOW_NS - at_most_s * SECOND);
            sorted.add(crate::fixtures::socket(one), NOW_NS, &watched(), |_| {});
        }
        let sorted = sorted.sort(NOW_NS, &watched());
        assert_eq!((sorted.sockets.len(), sorted.stuck), (3, 2));
        assert_eq!((sorted.unkept.stuck, sorted.unkept.may_be), (1, 1));
        assert_eq!(sorted.younger.count, 1);
        assert_eq!(
            sorted.caveat(),
            Some(Caveat::OnlyCounted { count: 2, kept: 3 })
        );
    }

    proptest! {
        /// Whatever the true age is, within the bounds: a stuck socket is not called younger, and a
        /// younger one not stuck.
        #[test]
        fn no_age_is_told_wrongly(age_s in 0_u64..100, low in 0_u64..100, high in 0_u64..100) {
            let (low, high) = (age_s.saturating_sub(low), age_s + high);
            let mut one = crate::fixtures::socket(listed(1, end("10.0.0.1", 1), end("10.0.0.2", 2), 0));
            one.since = Since::AtLatest(NOW_NS - low * SECOND);
            one.earliest_ns = Some(NOW_NS - high * SECOND);
            match one.stuck(NOW_NS, watched().older_than_ns) {
                Some(Stuck::Yes) => prop_assert!(age_s >= 30),
                Some(Stuck::MayBe) => prop_assert!(low < 30 && high >= 30),
                None => prop_assert!(age_s < 30),
            }
        }
    }
}

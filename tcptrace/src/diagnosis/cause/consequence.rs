//! Groups whose fault is that of another group: the cause first, whatever the counts.

use std::collections::HashMap;

use crate::model::{
    cause::{CauseName, Diagnosis, Evidence, FollowsFrom, Leak, Upstream, causes_first},
    socket::Socket,
    stuck::{
        group::{Ends, Group},
        snapshot::Snapshot,
    },
};

/// That part of the sockets of a cause must be older than the oldest of its consequence, in percent: the last
/// connection of a pool may be taken while others already wait.
const OLDER_PERCENT: usize = 80;

/// What waits for a pool begins to do so soon after its last connection was taken: as long as a client has patience.
const SOON_NS: u64 = 120_000_000_000;
/// What waits for a pool that leaks for so long does not wait with a time-out.
const LONG_NS: u64 = 120_000_000_000;

/// Why a group follows from another one.
struct Link {
    /// Which one, by its place.
    cause: usize,
    evidence: Evidence,
    /// Whether all speaks for it.
    is_sure: bool,
}

/// Finds consequences, and puts causes before them. `members` are the sockets of the groups.
pub fn link(
    snapshot: &mut Snapshot,
    members: &[Vec<&Socket>],
    upstreams: &Upstreams<'_>,
) -> Vec<usize> {
    let groups = &snapshot.groups;
    let index = Index::new(groups);
    let links: Vec<Option<Link>> = (0..groups.len())
        .map(|at| {
            let mut found: Vec<_> = [
                from_a_pool(groups, &index, members, at),
                from_the_limit(groups, &index, members, at),
                from_an_upstream(groups, &index, members, at, upstreams),
            ]
            .into_iter()
            .flatten()
            .collect();
            // The sure ones first.
            found.sort_by_key(|link| !link.is_sure);
            found.into_iter().next()
        })
        .collect();
    let mut sure: Vec<Option<usize>> = vec![None; groups.len()];
    for (at, link) in links.into_iter().enumerate() {
        let Some(link) = link.filter(|link| !leads_to(&sure, link.cause, at)) else {
            continue;
        };
        let Some(named) = name(&snapshot.groups[link.cause]) else {
            continue;
        };
        let cause_leaks = diagnosis(&snapshot.groups[link.cause]).is_some_and(is_leak);
        let group = &mut snapshot.groups[at];
        let age_ns = snapshot
            .monotonic_ns
            .saturating_sub(group.oldest.moment_ns());
        let Some(diagnosis) = &mut group.diagnosis else {
            continue;
        };
        if link.is_sure {
            sure[at] = Some(link.cause);
            diagnosis.follows_from = Some(named);
            if cause_leaks && age_ns >= LONG_NS && is_open(diagnosis) {
                diagnosis.leak = Leak::Yes;
                diagnosis.leak_because.clear();
            }
        }
        if let Some(first) = diagnosis.causes.first_mut() {
            first.evidence.insert(0, link.evidence);
        }
    }
    causes_first(&sure)
}

/// Where groups are found: one by one they would take too long.
#[derive(Default)]
struct Index {
    by_pid: HashMap<u32, Vec<usize>>,
    by_port: HashMap<u16, Vec<usize>>,
}

impl Index {
    fn new(groups: &[Group]) -> Self {
        let mut index = Self::default();
        for (at, group) in groups.iter().enumerate() {
            if let Some(owner) = &group.owner {
                index.by_pid.entry(owner.pid).or_default().push(at);
            }
            if let Ends::At { port, .. } = group.ends {
                index.by_port.entry(port).or_default().push(at);
            }
        }
        index
    }

    /// The other groups of the same process.
    fn siblings(&self, group: &Group, own: usize) -> impl Iterator<Item = usize> {
        let owner = group.owner.as_ref();
        let all = owner.and_then(|owner| self.by_pid.get(&owner.pid));
        all.into_iter()
            .flatten()
            .copied()
            .filter(move |at| *at != own)
    }
}

/// Whether this group follows from that one, by whatever way.
fn leads_to(sure: &[Option<usize>], mut from: usize, to: usize) -> bool {
    for _ in 0..sure.len() {
        if from == to {
            return true;
        }
        match sure[from] {
            Some(cause) => from = cause,
            None => return false,
        }
    }
    true
}

fn is_leak(diagnosis: &Diagnosis) -> bool {
    diagnosis.leak == Leak::Yes
}

/// Whether only its age, or nothing, speaks against a leak.
fn is_open(diagnosis: &Diagnosis) -> bool {
    let young = |one: &Evidence| matches!(one, Evidence::TooYoung { .. });
    diagnosis.leak == Leak::Unknown && diagnosis.leak_because.iter().all(young)
}

/// Where the connections of processes go that may wait for another server.
pub type Upstreams<'a> = dyn Fn(u32) -> &'a [Upstream] + 'a;

fn diagnosis(group: &Group) -> Option<&Diagnosis> {
    group.diagnosis.as_deref()
}

fn first(group: &Group) -> Option<CauseName> {
    diagnosis(group)?.first()
}

fn name(group: &Group) -> Option<FollowsFrom> {
    Some(FollowsFrom {
        pid: group.owner.as_ref()?.pid,
        ends: group.ends,
    })
}

/// Whether it may wait for something: by its best cause, or another one.
fn waits(group: &Group) -> bool {
    let waits = [CauseName::Starved, CauseName::NeverAccepted];
    let causes = diagnosis(group).map_or(&[][..], |one| &one.causes);
    causes.iter().any(|cause| waits.contains(&cause.name))
}

fn same_process(a: &Group, b: &Group) -> bool {
    let pid = |group: &Group| group.owner.as_ref().map(|owner| owner.pid);
    pid(a).is_some() && pid(a) == pid(b)
}

/// Request threads wait for a connection from a pool that leaks.
fn from_a_pool(
    groups: &[Group],
    index: &Index,
    members: &[Vec<&Socket>],
    at: usize,
) -> Option<Link> {
    let own = &groups[at];
    if !waits(own) || !matches!(own.ends, Ends::At { .. }) {
        return None;
    }
    let oldest_ns = members[at].iter().map(|one| one.since.moment_ns()).min()?;
    let pools = index.siblings(own, at).filter(|other| {
        let group = &groups[*other];
        matches!(group.ends, Ends::To(_)) && first(group) == Some(CauseName::Leased)
    });
    let cause = pools.max_by_key(|other| members[*other].len())?;
    let (pool, sockets) = (&groups[cause], &members[cause]);
    let moments = sockets.iter().map(|one| one.since.moment_ns());
    let older = moments.filter(|ns| *ns <= oldest_ns);
    let count = older.clone().count();
    // By how much the first that waits is younger than the last connection that was taken.
    let by_ns = oldest_ns.saturating_sub(older.max().unwrap_or(0));
    let is_sure = count * 100 >= sockets.len() * OLDER_PERCENT && by_ns <= SOON_NS;
    let than = name(pool)?;
    Some(Link {
        cause,
        evidence: if is_sure {
            Evidence::BeganLater { than, by_ns }
        } else {
            Evidence::MayFollowFrom(than)
        },
        is_sure,
    })
}

/// Its requests wait for a server whose own sockets are stuck.
fn from_an_upstream(
    groups: &[Group],
    index: &Index,
    members: &[Vec<&Socket>],
    at: usize,
    upstreams: &Upstreams<'_>,
) -> Option<Link> {
    let own = &groups[at];
    if !waits(own) {
        return None;
    }
    let pid = own.owner.as_ref()?.pid;
    for upstream in upstreams(pid) {
        let there = index.by_port.get(&upstream.remote.port);
        let mut there = there
            .into_iter()
            .flatten()
            .map(|other| (*other, &groups[*other]));
        let found = there.find(|(other, group)| {
            let is_there = match group.ends {
                Ends::At { port, address, .. } => {
                    let address = address.map(|one| one.to_canonical());
                    let remote = upstream.remote.address.to_canonical();
                    port == upstream.remote.port && address.is_none_or(|one| one == remote)
                }
                Ends::To(_) => false,
            };
            *other != at && is_there && group.netns == own.netns && !same_process(own, group)
        });
        if let Some((cause, group)) = found {
            // As many as wait here, or as many as are stuck there.
            let enough = upstream.count * 2 >= members[at].len().min(members[cause].len());
            let than = name(group)?;
            return Some(Link {
                cause,
                evidence: if enough {
                    Evidence::OtherEndsIn {
                        group: than,
                        count: upstream.count,
                    }
                } else {
                    Evidence::MayFollowFrom(than)
                },
                is_sure: enough,
            });
        }
    }
    None
}

/// Nothing is accepted because the process has no descriptor left: what it holds is the cause.
fn from_the_limit(
    groups: &[Group],
    index: &Index,
    members: &[Vec<&Socket>],
    at: usize,
) -> Option<Link> {
    let own = &groups[at];
    let full = diagnosis(own)?
        .beside
        .descriptors
        .filter(|one| one.are_nearly_full())?;
    if first(own) != Some(CauseName::NeverAccepted) {
        return None;
    }
    let held = |of: usize| members[of].len() - groups[of].unaccepted;
    let others = index.siblings(own, at);
    let others = others.filter(|other| held(*other) > 0);
    let cause = others.max_by_key(|other| held(*other))?;
    let group = &groups[cause];
    let enough = u64::try_from(held(cause)).is_ok_and(|held| held * 2 >= full.open);
    Some(Link {
        cause,
        evidence: if enough {
            Evidence::DescriptorsFull {
                open: full.open,
                limit: full.limit,
            }
        } else {
            Evidence::MayFollowFrom(name(group)?)
        },
        is_sure: enough,
    })
}

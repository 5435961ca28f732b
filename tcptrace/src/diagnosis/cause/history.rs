//! What a session has seen of the groups: who came, who left, what was read and sent meanwhile.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::{
    cause::{Evidence, Growth, Share},
    socket::{Endpoint, Role, Socket},
    stuck::{
        group::{Group, Passage},
        look::Exit,
        snapshot::Snapshot,
    },
};

/// Exits and counts of a group that are kept.
const MOST_EXITS: usize = 4096;
const MOST_COUNTS: usize = 512;
/// What was read or acknowledged so long ago does not show any more that it goes on.
const LATELY_NS: u64 = 60_000_000_000;
/// What left so long ago says no more about those that are there.
const SERVED_NS: u64 = 300_000_000_000;
/// Groups that are remembered after they have gone.
const MOST_GROUPS: usize = 4096;

/// Which group, from look to look: its process, its namespace, and the remote or the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId {
    pid: Option<u32>,
    netns: Option<u32>,
    role: Role,
    place: Result<Endpoint, u16>,
}

impl GroupId {
    /// That of a group.
    #[must_use]
    pub fn of(group: &Group) -> Self {
        let first = group.candidates.first();
        Self {
            pid: group.owner.as_ref().or(first).map(|one| one.pid),
            netns: group.netns,
            role: group.role,
            place: group.ends.place(),
        }
    }
}

/// Which socket: a cookie is unique since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum SocketId {
    Cookie(u64),
    Place(Option<u32>, Endpoint, Endpoint),
}

fn socket_id(socket: &Socket) -> SocketId {
    let identity = &socket.identity;
    match identity.cookie {
        Some(cookie) => SocketId::Cookie(cookie),
        None => SocketId::Place(identity.netns, identity.local, identity.remote),
    }
}

/// A socket at the last look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    group: GroupId,
    since_ns: u64,
    inode: u32,
    read: Option<u64>,
    acked: Option<u64>,
    place: (Option<u32>, Endpoint, Endpoint),
    /// When bytes were read, or acknowledged, last in this session, as far as looks tell.
    read_ns: Option<u64>,
    acked_ns: Option<u64>,
    look: u64,
    /// Whether it was there when its group was first seen.
    first: bool,
}

/// A socket that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// When, in ns of `CLOCK_MONOTONIC`, if the kernel side saw it; otherwise it was some time before the look.
    pub at_ns: Option<u64>,
    /// How old it was, in ns; at the last look that showed it, if that is all that is known.
    pub age_ns: u64,
    /// Whether its descriptor has gone, too; otherwise it is residue.
    pub served: bool,
    /// Whether it only went to another process or group, as when it is accepted: it is not known when.
    pub moved: bool,
    /// When the session noted it, in ns of `CLOCK_MONOTONIC`.
    pub noted_ns: u64,
}

/// What a session has seen of a group.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// When it was first seen, in ns of `CLOCK_MONOTONIC`.
    pub first_ns: u64,
    /// When it was seen last, likewise.
    pub last_ns: u64,
    /// Looks that it was in.
    pub looks: u64,
    /// How many sockets it had at first.
    pub first_count: usize,
    /// How many of those are left.
    pub survivors: usize,
    /// Those that left.
    pub left: VecDeque<Left>,
    /// How many came and went.
    pub passage: Passage,
    /// How many of those that are there had bytes read lately.
    pub read: usize,
    /// On how many the peer acknowledged something lately.
    pub acked: usize,
    /// How many sockets it had, and when.
    pub counts: VecDeque<(u64, usize)>,
}

impl Past {
    /// How many left lately with their descriptor closed, that had been there for so long.
    #[must_use]
    pub fn served(&self, older_than_ns: u64) -> usize {
        self.served_lately(older_than_ns).count()
    }

    fn served_lately(&self, older_than_ns: u64) -> impl Iterator<Item = &Left> {
        let since_ns = self.last_ns.saturating_sub(SERVED_NS);
        let lately = move |left: &&Left| left.noted_ns >= since_ns && left.age_ns >= older_than_ns;
        self.left.iter().filter(|left| left.served).filter(lately)
    }

    /// The same as evidence: those that were accepted, and those that were closed.
    #[must_use]
    pub fn progress(&self, older_than_ns: u64) -> Vec<Evidence> {
        let served = self.served_lately(older_than_ns);
        let (accepted, closed): (Vec<&Left>, Vec<&Left>) = served.partition(|left| left.moved);
        let evidence = [
            (
                accepted.len(),
                Evidence::AcceptedSince {
                    count: accepted.len(),
                },
            ),
            (
                closed.len(),
                Evidence::Served {
                    count: closed.len(),
                },
            ),
        ];
        let some = evidence.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(_, evidence)| evidence).collect()
    }

    /// For how long it has been watched, in ns.
    #[must_use]
    pub fn watched_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.first_ns)
    }

    /// So many of those that are there.
    #[must_use]
    pub fn share(count: usize, group: &Group) -> Share {
        Share {
            count,
            of: group.sockets,
        }
    }
}

/// What a session has seen.
#[derive(Debug, Default)]
pub struct History {
    looks: u64,
    began_ns: u64,
    last_ns: u64,
    sockets: HashMap<SocketId, Seen>,
    groups: HashMap<GroupId, Past>,
}

impl History {
    /// What was seen of a group before this look; `None` if it was in no look before.
    #[must_use]
    pub fn of(&self, group: &Group) -> Option<&Past> {
        self.groups
            .get(&GroupId::of(group))
            .filter(|past| past.looks > 1)
    }

    /// How many sockets of a group came and went; `None` if it was in no look.
    #[must_use]
    pub fn passage(&self, group: &Group) -> Option<Passage> {
        self.groups
            .get(&GroupId::of(group))
            .map(|past| past.passage)
    }

    /// Adds a look, of which `members` are the sockets of the groups.
    pub fn add(&mut self, snapshot: &Snapshot, members: &[Vec<&Socket>]) {
        let now_ns = snapshot.monotonic_ns;
        if self.looks == 0 {
            self.began_ns = now_ns;
        }
        self.looks += 1;
        let mut accepted = Vec::new();
        let alive = snapshot.groups.iter().zip(members);
        for (group, sockets) in alive.filter(|(group, _)| group.sockets > 0) {
            let id = GroupId::of(group);
            let past = self.groups.entry(id).or_insert_with(|| Past {
                first_ns: now_ns,
                first_count: sockets.len(),
                ..Past::default()
            });
            past.looks += 1;
            past.last_ns = now_ns;
            (past.survivors, past.read, past.acked) = (0, 0, 0);
            let is_first = past.looks == 1;
            for socket in sockets {
                let known = self.sockets.get(&socket_id(socket));
                let has_entered = self.looks > 1 && socket.since.moment_ns() >= self.began_ns;
                past.passage.entered += usize::from(known.is_none() && has_entered);
                let seen = see(socket, id, (self.looks, now_ns), known, is_first);
                if let Some(known) = known.filter(|known| known.group != id)
                    && known.inode == 0
                    && seen.inode != 0
                {
                    accepted.push(*known);
                }
                past.survivors += usize::from(seen.first);
                let lately = |at_ns: Option<u64>| {
                    at_ns.is_some_and(|ns| now_ns.saturating_sub(ns) < LATELY_NS)
                };
                past.read += usize::from(lately(seen.read_ns));
                past.acked += usize::from(lately(seen.acked_ns));
                self.sockets.insert(socket_id(socket), seen);
            }
            push(&mut past.counts, (now_ns, sockets.len()), MOST_COUNTS);
        }
        for known in accepted {
            // It went to the process that accepted it: the queue moves.
            if let Some(past) = self.groups.get_mut(&known.group) {
                let left = Left {
                    at_ns: None,
                    age_ns: now_ns.saturating_sub(known.since_ns),
                    served: true,
                    moved: true,
                    noted_ns: now_ns,
                };
                push(&mut past.left, left, MOST_EXITS);
                past.passage.left += 1;
            }
        }
        // Where some are only counted, it is not known which have gone.
        if snapshot.unkept.count() == 0 {
            self.note_exits(snapshot);
        }
        for past in self.groups.values_mut() {
            if past.last_ns != now_ns {
                past.survivors = 0;
                push(&mut past.counts, (now_ns, 0), MOST_COUNTS);
            }
        }
        if self.groups.len() > MOST_GROUPS {
            self.groups.retain(|_, past| past.last_ns == now_ns);
        }
        self.last_ns = now_ns;
    }

    fn note_exits(&mut self, snapshot: &Snapshot) {
        let dead = snapshot.residue.iter().chain(&snapshot.failed_connects);
        let dead: HashSet<u32> = (dead.flatten()).map(|one| one.inode).collect();
        let exits = Exits::new(&snapshot.exits);
        let (last_ns, looks, now_ns) = (self.last_ns, self.looks, snapshot.monotonic_ns);
        let groups = &mut self.groups;
        self.sockets.retain(|id, seen| {
            if seen.look == looks {
                return true;
            }
            let exit = exits.of(*id, seen);
            // What left during a look is reported at the next one.
            if exit.is_none() && seen.look + 1 == looks {
                return true;
            }
            let left = Left {
                noted_ns: now_ns,
                at_ns: exit.map(|exit| exit.left_ns),
                age_ns: exit.map_or(last_ns.saturating_sub(seen.since_ns), |exit| {
                    exit.left_ns.saturating_sub(exit.since_ns)
                }),
                served: seen.inode == 0 || !dead.contains(&seen.inode),
                moved: false,
            };
            if let Some(past) = groups.get_mut(&seen.group) {
                push(&mut past.left, left, MOST_EXITS);
                past.passage.left += 1;
            }
            false
        });
    }
}

fn push<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if all.len() >= most {
        all.pop_front();
    }
    all.push_back(one);
}

/// Bytes of data that the process has read: of the end, which counts as one, a read tells nothing.
fn data_read(socket: &Socket) -> Option<u64> {
    let details = socket.details.as_deref()?;
    let unread = u64::from(details.recv_queue?).saturating_sub(1);
    details
        .bytes_received?
        .saturating_sub(1)
        .checked_sub(unread)
}

fn see(
    socket: &Socket,
    group: GroupId,
    (look, now_ns): (u64, u64),
    known: Option<&Seen>,
    is_first: bool,
) -> Seen {
    let details = socket.details.as_deref();
    let read = data_read(socket);
    let acked = details.and_then(|one| one.bytes_acked);
    let grew = |now: Option<u64>, before: Option<u64>| now > before && before.is_some();
    let same = known.filter(|known| known.group == group);
    Seen {
        group,
        since_ns: socket.since.moment_ns(),
        inode: details.map_or(0, |one| one.inode),
        read,
        acked,
        place: (
            socket.identity.netns,
            socket.identity.local,
            socket.identity.remote,
        ),
        read_ns: known.and_then(|known| {
            let now = grew(read, known.read).then_some(now_ns);
            now.or(known.read_ns)
        }),
        acked_ns: known.and_then(|known| {
            let now = grew(acked, known.acked).then_some(now_ns);
            now.or(known.acked_ns)
        }),
        look,
        first: same.map_or(is_first, |known| known.first),
    }
}

/// The exits that the kernel side reports.
struct Exits<'a> {
    by_cookie: HashMap<u64, &'a Exit>,
    by_place: HashMap<(Option<u32>, Endpoint, Endpoint), &'a Exit>,
}

impl<'a> Exits<'a> {
    fn new(exits: &'a [Exit]) -> Self {
        let place = |exit: &Exit| (exit.netns, exit.local, exit.remote);
        Self {
            by_cookie: (exits.iter())
                .filter_map(|exit| Some((exit.cookie?, exit)))
                .collect(),
            by_place: exits.iter().map(|exit| (place(exit), exit)).collect(),
        }
    }

    fn of(&self, id: SocketId, seen: &Seen) -> Option<&'a Exit> {
        let by_cookie = match id {
            SocketId::Cookie(cookie) => self.by_cookie.get(&cookie),
            SocketId::Place(..) => None,
        };
        by_cookie
            .or_else(|| self.by_place.get(&seen.place))
            .copied()
    }
}

/// How a group grew, from its counts; `None` if there is only one.
#[must_use]
pub fn growth(past: &Past) -> Option<Growth> {
    let counts: Vec<_> = past.counts.iter().copied().collect();
    let (&(first_ns, first), &(last_ns, last)) = (counts.first()?, counts.last()?);
    if counts.len() < 2 {
        return None;
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    let least = counts.iter().map(|(_, count)| *count).min()?;
    if most == least {
        return Some(Growth::None);
    }
    // A fall counts once it has grown again.
    let (mut falls, mut high, mut low) = (0, 0, None);
    for &(_, count) in &counts {
        if high >= count + (most / 5).max(3) {
            low = Some(count);
            high = count;
        }
        if low.take_if(|low| count > *low).is_some() {
            falls += 1;
        }
        high = high.max(count);
    }
    if falls > 0 {
        return Some(Growth::Sawtooth { falls });
    }
    if last < first {
        return Some(Growth::Shrinks);
    }
    let flat = (counts.iter().rev()).take_while(|(_, count)| *count == last);
    let since_ns = flat.last().map_or(last_ns, |(ns, _)| *ns);
    let for_ns = last_ns.saturating_sub(since_ns);
    let within_ns = last_ns.saturating_sub(first_ns);
    if last == most && for_ns * 2 >= within_ns {
        return Some(Growth::Plateau { for_ns });
    }
    Some(match last.checked_sub(first) {
        Some(sockets) if sockets > 0 => Growth::Steady { sockets, within_ns },
        _ => Growth::None,
    })
}

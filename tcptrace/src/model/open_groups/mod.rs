//! What was still open when a log ended: by who opened it, who uses it now, and its connection.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet, hash_map::Entry},
    mem,
    sync::Arc,
};

use tcptrace_common::TcpState;

use crate::model::{
    owner::{KnownBy, Owner},
    socket::{Endpoint, Role, shown_form},
    stuck::group::Ends,
    transition::StillOpen,
};

/// More sockets than this are only counted: a recording may have any number.
const MOST: usize = 1 << 20;

/// A process's number, if it has one here, and its name: not yet fit for a terminal.
pub type Named = (Option<u32>, Arc<str>);

/// Who opened a socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opener {
    /// This process.
    Process(Named),
    /// Nobody yet: it waits to be accepted.
    Nobody,
    /// Not known.
    Unknown,
}

/// Who uses a socket now, or may accept it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Users {
    /// The one that opened it.
    Opener,
    /// These processes.
    These(Vec<Named>),
    /// Not known.
    Unknown,
}

/// A socket that was still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its state.
    pub state: TcpState,
    /// Whether it was reset, and a process has it still open.
    pub residue: bool,
    /// How long it has been in the state, in ns, and whether that is exact.
    pub age: (u64, bool),
    /// Who opened it.
    pub opener: Opener,
    /// Who uses it.
    pub users: Users,
    /// Which side it is.
    pub role: Role,
    /// This end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
}

/// Sockets that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub sockets: usize,
    /// Their state.
    pub state: TcpState,
    /// Whether they were reset.
    pub residue: bool,
    /// How long the oldest has been in the state, in ns, and whether that is exact.
    pub oldest: (u64, bool),
    /// Who opened them.
    pub opener: Opener,
    /// Who uses them: several processes have the same names.
    pub users: Users,
    /// Which side they are.
    pub role: Role,
    /// What their connections share.
    pub ends: Ends,
    /// Inode number of their network namespace.
    pub netns: Option<u32>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenGroups {
    members: Vec<Member>,
    /// Those for which there was no room.
    more: u64,
}

/// What sockets of a group have in common.
type Key<'a> = (
    (TcpState, bool, Role, Option<u32>),
    &'a Opener,
    Vec<&'a str>,
    Result<Endpoint, u16>,
);

impl OpenGroups {
    /// Adds one.
    pub fn add(&mut self, open: &StillOpen) {
        match self.members.len() < MOST {
            true => self.members.push(Member::of(open)),
            false => self.more += 1,
        }
    }

    /// How many there are in all.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.members.len() as u64 + self.more
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are in no group.
    #[must_use]
    pub fn more(&self) -> u64 {
        self.more
    }

    /// How many there are of each state, and how many of them are residue: the most frequent first, residue last.
    #[must_use]
    pub fn counts(&self) -> Vec<(TcpState, bool, usize)> {
        let mut counts: Vec<(TcpState, bool, usize)> = Vec::new();
        for member in &self.members {
            // Residue is in one state.
            let state = (member.state, member.residue);
            match counts.iter_mut().find(|one| (one.0, one.1) == state) {
                Some((_, _, count)) => *count += 1,
                None => counts.push((member.state, member.residue, 1)),
            }
        }
        counts.sort_by_key(|(state, residue, count)| (*residue, Reverse(*count), state.name()));
        counts
    }

    /// So many of them, the oldest first; all for `None`.
    #[must_use]
    pub fn oldest(&self, count: Option<usize>) -> Vec<&Member> {
        let mut all: Vec<_> = self.members.iter().collect();
        all.sort_by_key(|one| (Reverse(one.age.0), one.residue, &one.opener, one.netns));
        all.truncate(count.unwrap_or(usize::MAX));
        all
    }

    /// The groups, the one with the most sockets first; of those with as many, the one with the oldest.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        let shared = self.shared_ports();
        let mut groups: HashMap<Key<'_>, Group> = HashMap::new();
        for one in &self.members {
            let at_port = one.role == Role::Server
                || one.role == Role::Unknown && shared.contains(&place(one));
            match groups.entry(one.key(at_port)) {
                Entry::Occupied(mut group) => group.get_mut().add(one),
                Entry::Vacant(none) => drop(none.insert(Group::of(one, at_port))),
            }
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.iter_mut().for_each(Group::sort_users);
        groups.sort_by(|a, b| a.order().cmp(&b.order()));
        groups
    }

    /// The process to ask about: of the largest group that is in this state, the one that has it open.
    #[must_use]
    pub fn worst(&self, state: TcpState) -> Option<Option<u32>> {
        let groups = self.groups();
        let largest = (groups.iter()).find(|group| group.state == state && !group.residue)?;
        let opener = match &largest.opener {
            Opener::Process((pid, _)) => *pid,
            Opener::Nobody | Opener::Unknown => None,
        };
        Some(match &largest.users {
            Users::These(users) => users.iter().find_map(|(pid, _)| *pid),
            Users::Opener | Users::Unknown => opener,
        })
    }

    /// Ports that several sockets share of which it is not known whether they connected: as a listener's
    /// connections do, each of which has another peer.
    fn shared_ports(&self) -> HashSet<(Option<u32>, u16)> {
        let mut met = HashSet::new();
        let unknown = (self.members.iter()).filter(|one| one.role == Role::Unknown);
        unknown
            .map(place)
            .filter(|place| !met.insert(*place))
            .collect()
    }
}

fn shown(end: Endpoint) -> Endpoint {
    Endpoint {
        address: shown_form(end.address),
        ..end
    }
}

fn place(member: &Member) -> (Option<u32>, u16) {
    (member.netns, member.local.port)
}

impl Member {
    fn of(open: &StillOpen) -> Self {
        let socket = &open.socket;
        let residue = open.residue_of.is_some();
        Self {
            state: socket.state,
            residue,
            age: (open.age_ns(), socket.since.is_exact()),
            opener: opener(open),
            users: users(open),
            role: socket.identity.role,
            local: socket.identity.local,
            remote: socket.identity.remote,
            netns: socket.identity.netns,
        }
    }

    fn key(&self, at_port: bool) -> Key<'_> {
        let mut names: Vec<&str> = match &self.users {
            Users::Opener => vec![],
            Users::Unknown => vec!["?"],
            Users::These(users) => users.iter().map(|(_, comm)| &**comm).collect(),
        };
        names.sort_unstable();
        names.dedup();
        let ends = match at_port {
            true => Err(self.local.port),
            false => Ok(shown(self.remote)),
        };
        let kind = (self.state, self.residue, self.role, self.netns);
        (kind, &self.opener, names, ends)
    }
}

impl Group {
    fn of(one: &Member, at_port: bool) -> Self {
        Self {
            sockets: 1,
            state: one.state,
            residue: one.residue,
            oldest: one.age,
            opener: one.opener.clone(),
            users: one.users.clone(),
            role: one.role,
            ends: match at_port {
                true => Ends::At {
                    port: one.local.port,
                    address: Some(shown_form(one.local.address)),
                    from: Some(shown_form(one.remote.address)),
                },
                false => Ends::To(shown(one.remote)),
            },
            netns: one.netns,
        }
    }

    fn add(&mut self, one: &Member) {
        self.sockets += 1;
        if one.age.0 > self.oldest.0 {
            self.oldest = one.age;
        }
        if let (Users::These(users), Users::These(more)) = (&mut self.users, &one.users) {
            users.extend(more.iter().cloned());
        }
        if let Ends::At { address, from, .. } = &mut self.ends {
            *address = address.filter(|address| *address == shown_form(one.local.address));
            *from = from.filter(|from| *from == shown_form(one.remote.address));
        }
    }

    fn sort_users(&mut self) {
        if let Users::These(users) = &mut self.users {
            let mut all = mem::take(users);
            all.sort_unstable();
            all.dedup();
            *users = all;
        }
    }

    /// The same for the same sockets, in whatever order they came.
    fn order(&self) -> impl Ord + '_ {
        let (port, remote) = match self.ends {
            Ends::To(remote) => (remote.port, Some(remote)),
            Ends::At { port, .. } => (port, None),
        };
        let age = Reverse(self.oldest.0);
        let size = (Reverse(self.sockets), self.residue, age);
        (size, &self.opener, port, remote, &self.users, self.netns)
    }
}

/// A listener opens no connection, and who is only known by a descriptor need not have opened it.
fn opener(open: &StillOpen) -> Opener {
    let socket = &open.socket;
    match &socket.opener {
        Some(owner) if opens(owner) => {
            Opener::Process((owner.process.pid, Arc::clone(&owner.process.comm)))
        }
        None if socket.user.is_none() && waits(open) => Opener::Nobody,
        _ => Opener::Unknown,
    }
}

fn opens(owner: &Owner) -> bool {
    matches!(
        owner.known_by,
        KnownBy::Connect | KnownBy::Accept | KnownBy::Listen
    )
}

/// Whether no process has accepted it.
fn waits(open: &StillOpen) -> bool {
    open.socket.listener.is_some() && open.socket.holders.as_ref().is_none_or(Vec::is_empty)
}

fn users(open: &StillOpen) -> Users {
    let socket = &open.socket;
    let named = |owner: &Owner| (owner.process.pid, Arc::clone(&owner.process.comm));
    let opener = socket.opener.as_ref().filter(|owner| opens(owner));
    if let Some(user) = &socket.user {
        return Users::These(vec![named(user)]);
    }
    let mut holders: Vec<Named> = (socket.holders.iter().flatten())
        .map(|holder| (Some(holder.pid), Arc::clone(&holder.comm)))
        .collect();
    holders.sort_unstable();
    holders.dedup();
    match opener {
        Some(opener) if holders.iter().any(|(pid, _)| *pid == opener.process.pid) => Users::Opener,
        // The kernel side tells who has it open, and names no other.
        Some(_) if open.residue_of.is_some() => Users::Opener,
        _ if !holders.is_empty() => Users::These(holders),
        Some(_) => Users::Unknown,
        None if waits(open) => {
            let several = socket.candidates();
            let several = several.into_iter();
            let several: Vec<Named> = several
                .map(|(pid, comm)| (Some(pid), comm.into()))
                .collect();
            match socket.logged_owner() {
                Some(owner) if several.is_empty() => Users::These(vec![named(owner)]),
                _ if several.is_empty() => Users::Unknown,
                _ => Users::These(several),
            }
        }
        None => match &socket.opener {
            Some(had) => Users::These(vec![named(had)]),
            None => Users::Unknown,
        },
    }
}

#[cfg(test)]
mod tests;

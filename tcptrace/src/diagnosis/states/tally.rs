//! Counting sockets by state and by what was asked for.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::role::role_of,
    model::{
        caveat::Caveat,
        container,
        filter::Filter,
        socket::Role,
        states::{
            counts::Counts,
            member::{Kind, Member, NoSocket},
            report::{By, Group, Key, Report, Service},
        },
        stuck::look::Listed,
    },
};

/// Counts from look to look.
#[derive(Debug)]
pub struct Tally {
    by: Vec<By>,
    filter: Filter,
    now: Look,
    before: Option<Look>,
}

/// What one look has so far.
#[derive(Debug, Default)]
struct Look {
    all: Counts,
    groups: HashMap<Key, Counts>,
    /// Namespaces and ports.
    listening: HashSet<(u32, u16)>,
    /// By port.
    services: BTreeMap<u16, Listeners>,
}

/// What listens on a port.
#[derive(Debug, Default)]
struct Listeners {
    /// Whose they are, as far as it is known.
    names: HashSet<Option<Arc<str>>>,
    /// Connections that wait to be accepted.
    queued: u64,
}

impl Tally {
    /// Counts what passes the filter; by process and connection if `by` is empty.
    #[must_use]
    pub fn new(by: Vec<By>, filter: Filter) -> Self {
        Self {
            by,
            filter,
            now: Look::default(),
            before: None,
        }
    }

    /// Adds something; `listed`: which side it is, if only `sock_diag` knows it. What no process has comes
    /// after the listeners.
    pub fn add(&mut self, mut member: Member, listed: Option<&Listed>) {
        let listens = member.kind == Kind::Socket(TcpState::Listen);
        member.role = match (member.local, listed) {
            (_, Some(listed)) if !listens => role_of(listed, None),
            // What is left of a connection says nothing about it but its ends.
            (Some(local), _) if member.role == Role::Unknown => {
                let place = (member.netns, local.port);
                match listens || self.now.listening.contains(&place) {
                    true => Role::Server,
                    false => Role::Unknown,
                }
            }
            _ => member.role,
        };
        if let Some(local) = member.local.filter(|_| listens) {
            self.now.listening.insert((member.netns, local.port));
        }
        if !self.filter.passes_member(&member) {
            return;
        }
        self.now.all.add(&member);
        let key = key(&self.by, &member);
        self.now.groups.entry(key).or_default().add(&member);
        if let Some(local) = member.local.filter(|_| listens) {
            let service = self.now.services.entry(local.port).or_default();
            let name = member.holders.owner().map(|(_, comm)| Arc::clone(comm));
            service.names.insert(name);
            service.queued += member.queued;
        }
    }

    /// Ends a look.
    pub fn report(&mut self, time: SystemTime, monotonic_ns: u64, caveats: Vec<Caveat>) -> Report {
        let look = std::mem::take(&mut self.now);
        let before = self.before.take();
        let mut groups: Vec<Group> = (look.groups.iter())
            .map(|(key, counts)| Group {
                key: key.clone(),
                counts: *counts,
                before: (before.as_ref())
                    .map(|before| before.groups.get(key).copied().unwrap_or_default()),
            })
            .collect();
        groups.sort_by(|a, b| worst_first(a).cmp(&worst_first(b)));
        let pids: HashSet<_> = groups.iter().filter_map(|group| group.key.pid).collect();
        let services = look.services.iter().map(|(port, service)| Service {
            port: *port,
            comm: (service.names.iter().next().cloned().flatten())
                .filter(|_| service.names.len() == 1),
            queued: service.queued,
        });
        let report = Report {
            time,
            monotonic_ns,
            by: self.by.clone(),
            all: look.all,
            before: before.map(|before| before.all),
            groups,
            processes: pids.len(),
            services: services.collect(),
            caveats,
        };
        self.before = Some(look);
        report
    }
}

/// Sockets in `CLOSE_WAIT`, then residue, then those in other states in which sockets do not go away
/// by themselves, then all.
fn worst_first(group: &Group) -> (Reverse<[u64; 5]>, &Key) {
    let counts = &group.counts;
    let badness = [
        counts.of(TcpState::CloseWait),
        counts.residue,
        counts.of(TcpState::FinWait2),
        counts.of(TcpState::LastAck) + counts.of(TcpState::SynSent),
        counts.sockets() + counts.remainders() + counts.no_socket(NoSocket::HalfOpen),
    ];
    (Reverse(badness), &group.key)
}

fn key(by: &[By], member: &Member) -> Key {
    let mut key = Key::default();
    let owner = member.holders.owner();
    let service = match member.role {
        Role::Server => member.local,
        Role::Client | Role::Unknown => member.remote,
    };
    let port = service.map(|end| end.port).filter(|port| *port != 0);
    let remote = || member.remote.map(|end| end.address.to_canonical());
    if by.is_empty() {
        key.comm = owner.map(|(_, comm)| Arc::clone(comm));
        key.pid = owner.map(|(pid, _)| *pid);
        let is_socket = matches!(member.kind, Kind::Socket(_));
        if is_socket && member.role == Role::Server {
            (key.server, key.port) = (Some(true), port);
        } else if is_socket && port.is_some() {
            (key.server, key.port, key.remote) = (Some(false), port, remote());
        }
        return key;
    }
    for part in by {
        match part {
            By::Comm => key.comm = owner.map(|(_, comm)| Arc::clone(comm)),
            By::Pid => {
                key.comm = owner.map(|(_, comm)| Arc::clone(comm));
                key.pid = owner.map(|(pid, _)| *pid);
            }
            By::Remote => key.remote = remote().filter(|address| !address.is_unspecified()),
            By::Port => key.port = port,
            By::Cgroup => key.cgroup.clone_from(&member.cgroup),
            By::Container => key.container = member.cgroup.as_deref().and_then(container::name),
            By::Netns => key.netns = Some(member.netns),
        }
    }
    key
}

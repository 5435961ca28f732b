//! Counting sockets by state and by what was asked for.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
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
        owner::{OneOf, one_of},
        socket::Role,
        states::{
            counts::Counts,
            member::{Holders, Kind, Member, NoSocket},
            remotes::Remotes,
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
    groups: HashMap<Key, (Counts, Remotes)>,
    /// Namespaces and ports.
    listening: HashSet<(u32, u16)>,
    /// By port.
    services: BTreeMap<u16, Listeners>,
}

/// What listens on a port.
#[derive(Debug, Default)]
struct Listeners {
    /// Whose they are, as far as it is known.
    names: BTreeSet<Arc<str>>,
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
        let is_server = key.server == Some(true);
        let (counts, remotes) = self.now.groups.entry(key).or_default();
        counts.add(&member);
        if let Some(remote) = member.remote.filter(|_| is_server && !listens) {
            let address = remote.address.to_canonical();
            if !address.is_unspecified() {
                remotes.add(address);
            }
        }
        if let Some(local) = member.local.filter(|_| listens) {
            let service = self.now.services.entry(local.port).or_default();
            let names = member.holders.all().map(|(_, comm)| Arc::clone(comm));
            service.names.extend(names);
            service.queued += member.queued;
        }
    }

    /// Ends a look.
    pub fn report(
        &mut self,
        time: SystemTime,
        monotonic_ns: u64,
        mut caveats: Vec<Caveat>,
    ) -> Report {
        let look = std::mem::take(&mut self.now);
        let before = self.before.take();
        let mut groups: Vec<Group> = (look.groups.iter())
            .map(|(key, (counts, remotes))| Group {
                key: key.clone(),
                counts: *counts,
                before: (before.as_ref()).map(|before| {
                    before
                        .groups
                        .get(key)
                        .map_or_else(Counts::default, |then| then.0)
                }),
                remotes: *remotes,
            })
            .collect();
        groups.sort_by(|a, b| worst_first(a).cmp(&worst_first(b)));
        let outside = groups.iter().filter(|group| group.key.unknown);
        let outside: u64 = outside.map(|group| group.counts.sockets()).sum();
        if outside > 0 && caveats.contains(&Caveat::PidNamespace) {
            caveats.push(Caveat::HeldOutside(outside));
        }
        let pids: HashSet<_> = groups.iter().filter_map(|group| group.key.pid).collect();
        let services = look.services.iter().map(|(port, service)| Service {
            port: *port,
            comms: service.names.iter().cloned().collect(),
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

/// Fills in the process, or those that may be meant; with their numbers or only by name.
fn set_process(key: &mut Key, holders: &Holders, numbers: bool) {
    key.unknown = holders.are_unknown;
    let number = |pid: u32| numbers.then_some(pid);
    if let Some((pid, comm)) = holders.owner() {
        (key.comm, key.pid) = (Some(Arc::clone(comm)), number(*pid));
        return;
    }
    let all = holders.all();
    match one_of(all.map(|(pid, comm)| (number(*pid), Arc::clone(comm)))) {
        OneOf::Named(comm) => key.comm = Some(comm),
        OneOf::Candidates(candidates) => key.candidates = candidates,
    }
}

fn key(by: &[By], member: &Member) -> Key {
    let mut key = Key::default();
    let service = match member.role {
        Role::Server => member.local,
        Role::Client | Role::Unknown => member.remote,
    };
    let port = service.map(|end| end.port).filter(|port| *port != 0);
    let remote = || member.remote.map(|end| end.address.to_canonical());
    if by.is_empty() || by.contains(&By::Pid) || by.contains(&By::Comm) {
        set_process(&mut key, &member.holders, by != [By::Comm]);
    }
    if by.is_empty() {
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
            // See above.
            By::Comm | By::Pid => {}
            By::Remote => key.remote = remote().filter(|address| !address.is_unspecified()),
            By::Port => key.port = port,
            By::Cgroup => key.cgroup.clone_from(&member.cgroup),
            By::Container => key.container = member.cgroup.as_deref().and_then(container::name),
            By::Netns => key.netns = Some(member.netns),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{fixtures::end, model::socket::Family};

    fn member(state: TcpState, role: Role, pid: u32) -> Member {
        Member {
            kind: Kind::Socket(state),
            count: 1,
            residue: false,
            netns: 1,
            family: Some(Family::Ipv4),
            local: Some(end("10.0.0.1", 80)),
            remote: Some(end("10.0.0.2", 4000 + u16::try_from(pid).expect("small"))),
            role,
            holders: Holders {
                first: Some((pid, "java".into())),
                ..Holders::default()
            },
            cgroup: None,
            other_cgroups: Vec::new(),
            queued: 0,
        }
    }

    fn remainder(remote: Option<&str>) -> Member {
        Member {
            kind: Kind::NoSocket(NoSocket::TimeWait),
            remote: remote.map(|address| end(address, 5000)),
            local: remote.map(|_| end("10.0.0.1", 80)),
            holders: Holders::default(),
            role: Role::Unknown,
            ..member(TcpState::Established, Role::Unknown, 1)
        }
    }

    fn report(tally: &mut Tally, members: &[Member]) -> Report {
        for member in members {
            tally.add(member.clone(), None);
        }
        tally.report(UNIX_EPOCH, 0, Vec::new())
    }

    #[test]
    fn a_server_is_one_row_for_its_port_and_a_client_one_for_each_remote() {
        let members = [
            member(TcpState::Established, Role::Server, 1),
            Member {
                remote: Some(end("10.0.0.9", 1)),
                ..member(TcpState::CloseWait, Role::Server, 1)
            },
            member(TcpState::Established, Role::Client, 2),
            Member {
                remote: Some(end("10.0.0.9", 1)),
                ..member(TcpState::Established, Role::Client, 2)
            },
        ];
        let report = report(&mut Tally::new(Vec::new(), Filter::default()), &members);
        let keys: Vec<_> = (report.groups.iter())
            .map(|group| (group.key.server, group.key.port, group.counts.sockets()))
            .collect();
        let from = report.groups[0].remotes.network();
        assert_eq!(from, Some((end("10.0.0.0", 0).address, Some(24))));
        assert_eq!(report.groups[1].remotes, Remotes::None);
        // The one with a socket in CLOSE_WAIT comes first.
        assert_eq!(keys[0], (Some(true), Some(80), 2));
        assert_eq!(keys.len(), 3);
        assert_eq!(report.processes, 2);
    }

    #[test]
    fn several_that_may_accept_are_candidates() {
        let mut waits = member(TcpState::CloseWait, Role::Server, 1);
        waits.holders.others.push((2, "java".into()));
        waits.holders.are_candidates = true;
        let key = |by| {
            let mut tally = Tally::new(vec![by], Filter::default());
            report(&mut tally, &[waits.clone()]).groups[0].key.clone()
        };
        let java = || Arc::from("java");
        let candidates = vec![(Some(1), java()), (Some(2), java())];
        let by_pid = Key {
            candidates,
            ..Key::default()
        };
        assert_eq!(key(By::Pid), by_pid);
        assert_eq!(key(By::Comm).comm, Some(java()));
    }

    #[test]
    fn what_is_left_of_a_connection_belongs_to_the_port_that_listens() {
        let listener = member(TcpState::Listen, Role::Server, 1);
        let all = [listener, remainder(Some("10.0.0.7")), remainder(None)];
        let report = report(&mut Tally::new(vec![By::Port], Filter::default()), &all);
        let of = |port| {
            let group = report.groups.iter().find(|group| group.key.port == port);
            group.map(|group| group.counts.no_socket(NoSocket::TimeWait))
        };
        assert_eq!((of(Some(80)), of(None)), (Some(1), Some(1)));
        assert_eq!(report.all.of(TcpState::TimeWait), 2);
        assert_eq!(report.all.sockets(), 1);
    }

    #[test]
    fn what_is_not_known_passes_no_filter() {
        let filter = Filter {
            ports: vec![80],
            ..Filter::default()
        };
        let all = [remainder(Some("10.0.0.7")), remainder(None)];
        let report = report(&mut Tally::new(Vec::new(), filter), &all);
        assert_eq!(report.all.of(TcpState::TimeWait), 1);
    }

    #[test]
    fn changes_are_since_the_look_before() {
        let mut tally = Tally::new(vec![By::Comm], Filter::default());
        let one = member(TcpState::CloseWait, Role::Server, 1);
        let first = report(&mut tally, &[one.clone(), one.clone()]);
        assert_eq!((first.before, first.groups[0].before), (None, None));
        let second = report(&mut tally, &[one]);
        let before = second.groups[0].before.expect("there was a look");
        assert_eq!(before.of(TcpState::CloseWait), 2);
        assert_eq!(second.all.of(TcpState::CloseWait), 1);
    }
}

//! Stuck sockets by process, and by remote or listener.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use crate::model::{
    socket::{Endpoint, Role, Socket, Stuck, shown_form},
    stuck::{
        group::{Ends, Group, Keepalive, ProcessName, RecvQueues},
        snapshot::Watched,
    },
};

/// Groups `sockets`, the largest group first and then the oldest.
#[must_use]
pub fn group(sockets: &[Socket], now_ns: u64, watched: &Watched) -> Vec<Group> {
    let mut groups: Vec<_> = by_key(sockets)
        .into_iter()
        .map(|(key, members)| summarize(key, members, now_ns, watched))
        .collect();
    groups.sort_by(|a, b| {
        (b.sockets.cmp(&a.sockets))
            .then(a.oldest.moment_ns().cmp(&b.oldest.moment_ns()))
            .then_with(|| key_of(a).cmp(&key_of(b)))
    });
    groups
}

/// Groups of dead sockets with which none that is alive has process and ends in common: they have no socket in the state.
#[must_use]
pub fn groups_of_dead(
    dead: &[Socket],
    alive: &[Group],
    now_ns: u64,
    watched: &Watched,
) -> Vec<Group> {
    let place = |group: &Group| {
        let pid = group.owner.as_ref().map(|owner| owner.pid);
        (pid, group.netns, group.ends.place())
    };
    let alive: HashSet<_> = alive.iter().map(place).collect();
    let groups = group(dead, now_ns, watched).into_iter();
    let groups = groups.filter(|group| !alive.contains(&place(group)));
    let without_sockets = |group| Group {
        sockets: 0,
        stuck: 0,
        unaccepted: 0,
        closed: 0,
        ..group
    };
    groups.map(without_sockets).collect()
}

/// The sockets of each of these groups, which were made of them.
#[must_use]
pub fn members<'a>(sockets: &'a [Socket], groups: &[Group]) -> Vec<Vec<&'a Socket>> {
    let mut all = by_key(sockets);
    let named = |one: &ProcessName| (one.pid, one.comm.clone());
    let mut by_name: HashMap<_, _> = all
        .drain()
        .map(|((whose, netns, ends), members)| {
            let owned = |(pid, comm): Named<'_>| (pid, comm.to_owned());
            let candidates: Vec<_> = whose.1.into_iter().map(owned).collect();
            ((whose.0.map(owned), candidates, netns, ends), members)
        })
        .collect();
    let members = groups.iter().map(|group| {
        let owner = group.owner.as_ref().map(named);
        let candidates: Vec<_> = group.candidates.iter().map(named).collect();
        by_name
            .remove(&(owner, candidates, group.netns, group.ends.place()))
            .unwrap_or_default()
    });
    members.collect()
}

fn by_key(sockets: &[Socket]) -> HashMap<Key<'_>, Vec<&Socket>> {
    let shared = shared_ports(sockets);
    let mut groups: HashMap<Key<'_>, Vec<&Socket>> = HashMap::new();
    for socket in sockets {
        groups.entry(key(socket, &shared)).or_default().push(socket);
    }
    groups
}

/// What the sockets of a group have in common: whose they are, their namespace, and the remote of
/// clients or the port of a listener.
type Key<'a> = (Whose<'a>, Option<u32>, Result<Endpoint, u16>);
/// The owner or the candidates.
type Whose<'a> = (Option<Named<'a>>, Vec<Named<'a>>);
/// Pid and name.
type Named<'a> = (u32, &'a str);
/// A port of a process.
type Port<'a> = (Whose<'a>, Option<u32>, u16);

fn key<'a>(socket: &'a Socket, shared: &HashSet<Port<'a>>) -> Key<'a> {
    let (whose, netns) = (whose(socket), socket.identity.netns);
    let (local, remote) = (socket.identity.local, socket.identity.remote);
    let port = (whose, netns, local.port);
    let is_at_a_port = match socket.identity.role {
        Role::Server => true,
        Role::Client => false,
        Role::Unknown => shared.contains(&port),
    };
    let remote = Endpoint {
        address: shown_form(remote.address),
        ..remote
    };
    let ends = if is_at_a_port {
        Err(local.port)
    } else {
        Ok(remote)
    };
    (port.0, netns, ends)
}

fn whose(socket: &Socket) -> Whose<'_> {
    (socket.process(), socket.candidates())
}

/// Ports that several sockets share of which it is not known whether they connected: as a listener's
/// connections do, each of which has another peer.
fn shared_ports(sockets: &[Socket]) -> HashSet<Port<'_>> {
    let mut met = HashSet::new();
    let unknown = (sockets.iter()).filter(|socket| socket.identity.role == Role::Unknown);
    let port = |socket: &'_ Socket| socket.identity.local.port;
    unknown
        .map(|socket| (whose(socket), socket.identity.netns, port(socket)))
        .filter(|place| !met.insert(place.clone()))
        .collect()
}

fn key_of(group: &Group) -> (&Option<ProcessName>, &[ProcessName], Ends, Option<u32>) {
    (&group.owner, &group.candidates, group.ends, group.netns)
}

fn summarize(key: Key<'_>, mut members: Vec<&Socket>, now_ns: u64, watched: &Watched) -> Group {
    let ((owner, candidates), netns, ends) = key;
    let name = |(pid, comm): Named<'_>| ProcessName {
        pid,
        comm: comm.to_owned(),
    };
    members.sort_by_key(|socket| socket.since.moment_ns());
    let median = members[members.len() / 2];
    let queues = members.iter().filter_map(|socket| socket.details.as_ref());
    let recv_queue = queues
        .map(|details| details.recv_queue.map(u64::from))
        .sum::<Option<u64>>()
        .filter(|_| members.iter().any(|socket| socket.details.is_some()));
    let count = |counts: &dyn Fn(&Socket) -> bool| members.iter().filter(|s| counts(s)).count();
    let first = members[0];
    let role = first.identity.role;
    Group {
        owner: owner.map(name),
        candidates: candidates.into_iter().map(name).collect(),
        owner_known: members.iter().all(|socket| socket.holders.is_some()),
        role: if count(&|socket| socket.identity.role == role) == members.len() {
            role
        } else {
            Role::Unknown
        },
        ends: match ends {
            Ok(remote) => Ends::To(remote),
            Err(port) => Ends::At {
                port,
                address: common(&members, |socket| socket.identity.local.address),
                from: common(&members, |socket| socket.identity.remote.address),
            },
        },
        netns,
        sockets: members.len(),
        stuck: count(&|socket| socket.stuck(now_ns, watched.older_than_ns) == Some(Stuck::Yes)),
        unaccepted: count(&|socket| socket.accepted() == Some(false)),
        closed: count(&|socket| socket.is_closed()),
        oldest: first.since,
        oldest_at_most_ns: first.age_at_most_ns(now_ns),
        median_ns: median.age_ns(now_ns),
        median_at_most_ns: median.age_at_most_ns(now_ns),
        recv_queue,
        recv_queues: recv_queues(&members),
        keepalive: keepalive(&members),
        cgroup: (first.process_cgroup().cloned())
            .filter(|path| members.iter().all(|s| s.process_cgroup() == Some(path))),
        passage: None,
        diagnosis: None,
    }
}

/// The address that all of them have.
fn common(members: &[&Socket], of: impl Fn(&Socket) -> IpAddr) -> Option<IpAddr> {
    let first = shown_form(of(members.first()?));
    (members.iter().all(|socket| shown_form(of(socket)) == first)).then_some(first)
}

fn recv_queues(members: &[&Socket]) -> RecvQueues {
    let mut spread = RecvQueues::default();
    for socket in members {
        let bytes = socket.details.as_ref().and_then(|known| known.recv_queue);
        *match bytes {
            Some(0) => &mut spread.zero,
            Some(1) => &mut spread.one,
            Some(_) => &mut spread.more,
            None => &mut spread.unknown,
        } += 1;
    }
    spread
}

fn keepalive(members: &[&Socket]) -> Keepalive {
    let mut counts = Keepalive::default();
    for socket in members {
        let keepalive = socket.details.as_ref().and_then(|known| known.keepalive);
        *match keepalive {
            Some(true) => &mut counts.on,
            Some(false) => &mut counts.off,
            None => &mut counts.unknown,
        } += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::{
        diagnosis::stuck::tracker::Tracker,
        fixtures::{NOW_NS, SECOND, busy_look, end, watched},
        model::{socket::Since, stuck::look::Look},
    };

    fn groups(mut look: Look) -> Vec<Group> {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut look);
        group(&sockets, NOW_NS, &watched())
    }

    #[test]
    fn clients_group_by_remote_and_servers_by_their_port() {
        let groups = groups(busy_look());
        let rows: Vec<_> = (groups.iter())
            .map(|group| {
                let pid = group.owner.as_ref().map(|owner| owner.pid);
                (pid, group.ends, group.sockets, group.unaccepted)
            })
            .collect();
        let at = Ends::At {
            port: 443,
            address: Some(end("10.0.0.2", 0).address),
            from: None,
        };
        assert_eq!(
            rows,
            [
                (Some(4242), Ends::To(end("10.0.0.7", 8080)), 2, 0),
                (Some(80), at, 2, 1),
            ]
        );
        assert_eq!(groups[0].oldest, Since::AtLatest(NOW_NS - 700 * SECOND));
        assert_eq!(groups[0].median_ns, 91 * SECOND);
        assert_eq!(groups[0].median_at_most_ns, Some(91 * SECOND));
        assert_eq!(groups[1].recv_queue, Some(79));
        let spread = groups[1].recv_queues;
        assert_eq!((spread.zero, spread.one, spread.more), (0, 1, 1));
        assert_eq!(groups[1].keepalive.off, 2);
    }

    #[test]
    fn one_remote_is_one_group_however_its_address_is_written() {
        let mut look = busy_look();
        look.listed[0].local = end("::ffff:10.0.0.2", 40001);
        look.listed[0].remote = end("::ffff:10.0.0.7", 8080);
        assert_eq!(groups(look)[0].sockets, 2);
    }

    #[test]
    fn of_an_unknown_side_a_shared_port_is_one_group() {
        let mut look = busy_look();
        for socket in &mut look.listed[..2] {
            socket.sent = None;
            socket.local.port = 8080;
        }
        look.listed[0].remote.port = 50_001;
        let groups = groups(look);
        assert_eq!((groups[0].role, groups[0].sockets), (Role::Unknown, 2));
        assert!(matches!(groups[0].ends, Ends::At { port: 8080, .. }));
    }

    #[test]
    fn namespaces_are_apart() {
        let mut look = busy_look();
        look.listed[0].netns += 1;
        let clients = groups(look)
            .into_iter()
            .filter(|one| one.role == Role::Client);
        assert_eq!(clients.count(), 2);
    }
}

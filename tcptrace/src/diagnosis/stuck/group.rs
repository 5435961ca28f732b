//! Stuck sockets by process and remote.

use std::{collections::HashMap, net::IpAddr};

use crate::model::{
    socket::{Role, Socket},
    stuck::group::{Group, ProcessName},
};

/// Groups `sockets`, the largest group first and then the oldest.
#[must_use]
pub fn group(sockets: &[Socket], now_ns: u64) -> Vec<Group> {
    let mut groups: HashMap<Key<'_>, Vec<&Socket>> = HashMap::new();
    for socket in sockets {
        let (owner, candidates) = (socket.process(), socket.candidates());
        let port = (socket.identity.role != Role::Server).then_some(socket.identity.remote.port);
        let key = (owner, candidates, socket.identity.remote.address, port);
        groups.entry(key).or_default().push(socket);
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|(key, members)| summarize(key, members, now_ns))
        .collect();
    groups.sort_by(|a, b| {
        (b.sockets.cmp(&a.sockets))
            .then(a.oldest.moment_ns().cmp(&b.oldest.moment_ns()))
            .then_with(|| key_of(a).cmp(&key_of(b)))
    });
    groups
}

/// What the sockets of a group have in common: the owner or the candidates, and the remote.
type Key<'a> = (Option<Named<'a>>, Vec<Named<'a>>, IpAddr, Option<u16>);
/// Pid and name.
type Named<'a> = (u32, &'a str);

fn key_of(group: &Group) -> (&Option<ProcessName>, &[ProcessName], IpAddr, Option<u16>) {
    (&group.owner, &group.candidates, group.remote, group.port)
}

fn summarize(key: Key<'_>, mut members: Vec<&Socket>, now_ns: u64) -> Group {
    let (owner, candidates, remote, port) = key;
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
    let cgroup = members[0].cgroup.clone();
    Group {
        owner: owner.map(name),
        candidates: candidates.into_iter().map(name).collect(),
        owner_known: members.iter().all(|socket| socket.holders.is_some()),
        remote,
        port,
        sockets: members.len(),
        unaccepted: (members.iter())
            .filter(|socket| socket.accepted() == Some(false))
            .count(),
        oldest: members[0].since,
        median_ns: median.age_ns(now_ns),
        median_exact: median.since.is_exact(),
        recv_queue,
        cgroup: cgroup.filter(|path| members.iter().all(|s| s.cgroup.as_ref() == Some(path))),
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::model::socket::Since;
    use crate::{
        diagnosis::stuck::tracker::Tracker,
        fixtures::{NOW_NS, SECOND, busy_look},
    };

    #[test]
    fn clients_group_by_remote_port_and_servers_by_address() {
        let sockets = Tracker::new(TcpState::CloseWait).sockets(&mut busy_look());
        let groups = group(&sockets, NOW_NS);
        let rows: Vec<_> = groups
            .iter()
            .map(|group| {
                let pid = group.owner.as_ref().map(|owner| owner.pid);
                (pid, group.remote.to_string(), group.port, group.sockets)
            })
            .collect();
        assert_eq!(
            rows,
            [
                (Some(4242), "10.0.0.7".into(), Some(8080), 2),
                (Some(80), "::ffff:192.0.2.9".into(), None, 1),
                (Some(80), "192.0.2.8".into(), None, 1),
            ]
        );
        assert_eq!(groups[0].oldest, Since::AtLatest(NOW_NS - 700 * SECOND));
        assert_eq!(groups[0].median_ns, 91 * SECOND);
        assert!(groups[0].median_exact);
        assert_eq!(groups[2].unaccepted, 1);
        assert_eq!(groups[2].recv_queue, Some(78));
    }
}

//! Sockets that were reset during the log and that a process still has open: no table of the kernel's
//! shows them.

use tcptrace_common::TcpState;

use crate::{
    diagnosis::log::transitions::role,
    model::{
        socket::{Identity, Since, Socket},
        track::{OpenSockets, TableEntry},
        transition::StillOpen,
    },
};

/// Residue, the oldest first.
#[must_use]
pub fn residue(facts: &OpenSockets) -> Vec<StillOpen> {
    let known = |entry: &TableEntry| entry.opener.is_some() || entry.user.is_some();
    let wanted = |entry: &&TableEntry| match known(entry) {
        true => entry.is_wanted,
        false => facts.followed.is_none(),
    };
    let mut all: Vec<_> = (facts.residue.iter().filter(wanted))
        .map(|entry| StillOpen {
            time: facts.time,
            monotonic_ns: facts.monotonic_ns,
            socket: socket(entry),
            residue_of: entry.residue_of,
        })
        .collect();
    all.sort_by_key(|open| open.socket.since.moment_ns());
    all
}

fn socket(entry: &TableEntry) -> Socket {
    let seen = &entry.entered;
    let known_by = entry.opener.as_ref().map(|owner| owner.known_by);
    let from_listener = seen.from_listener == Some(true);
    let identity = Identity {
        protocol: seen.protocol,
        family: seen.family,
        local: seen.local,
        remote: seen.remote,
        netns: seen.netns,
        cookie: seen.cookie,
        role: role(known_by, entry.state, TcpState::Close, from_listener),
    };
    let since = Since::Exact(seen.since_ns);
    Socket {
        user: entry.user.clone(),
        ..Socket::logged(identity, entry.state, since, entry.opener.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{NOW_NS, end, entered, listed, time, transition},
        model::{socket::Role, stuck::look::Coverage},
    };

    fn entry(cookie: u64, since_s: u64) -> TableEntry {
        let socket = listed(cookie, end("10.0.0.1", 1), end("10.0.0.2", 2), 0);
        let seen = transition(cookie, TcpState::Established, TcpState::CloseWait, 1);
        TableEntry {
            entered: entered(&socket, since_s),
            state: TcpState::Close,
            was_before: false,
            residue_of: Some(TcpState::CloseWait),
            opener: seen.opener,
            user: None,
            is_wanted: true,
        }
    }

    fn found(residue: Vec<TableEntry>, pids: &[u32]) -> Vec<StillOpen> {
        let facts = OpenSockets {
            time: time(0),
            monotonic_ns: NOW_NS,
            states: vec![TcpState::CloseWait],
            table: Vec::new(),
            residue,
            listed: Vec::new(),
            listening: Vec::new(),
            waiting: Vec::new(),
            coverage: Coverage::default(),
            descriptors: None,
            known: std::collections::HashMap::new(),
            followed: (!pids.is_empty()).then(|| pids.iter().copied().collect()),
            lost_ns: 0,
        };
        super::residue(&facts)
    }

    #[test]
    fn the_oldest_comes_first_with_its_owner() {
        let open = found(vec![entry(1, 5), entry(2, 70)], &[]);
        let ages: Vec<_> = open.iter().map(StillOpen::age_ns).collect();
        assert!(ages[0] > ages[1], "{ages:?}");
        assert_eq!(open[0].residue_of, Some(TcpState::CloseWait));
        let owner = open[0].socket.logged_owner().expect("it is known");
        assert_eq!(owner.process.pid, Some(4242));
        assert_eq!(open[0].socket.identity.role, Role::Client);
    }

    #[test]
    fn what_the_filter_does_not_want_is_left_out() {
        let unwanted = TableEntry {
            is_wanted: false,
            ..entry(1, 5)
        };
        let unknown = TableEntry {
            opener: None,
            is_wanted: false,
            ..entry(2, 5)
        };
        assert_eq!(found(vec![unwanted.clone(), unknown.clone()], &[7]), []);
        assert_eq!(found(vec![unwanted, unknown], &[]).len(), 1);
    }
}

//! The keys that durations are counted by.

use std::{net::IpAddr, sync::Arc};

use crate::model::{
    names::names,
    owner::{Candidates, OneOf, Owner, one_of},
    socket::{Family, Identity, Role},
};

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The owner's name.
    Comm,
    /// The owner: one process with one name.
    Pid,
    /// The remote address.
    Remote,
    /// The service's port: the remote port of a client, the local port of a server.
    Port,
    /// The owner's control group.
    Cgroup,
    /// The network namespace.
    Netns,
    /// The address family.
    Family,
}

names!(Part {
    Comm => "comm",
    Pid => "pid",
    Remote => "remote",
    Port => "port",
    Cgroup => "cgroup",
    Netns => "netns",
    Family => "family",
});

/// The requested and known values of a socket; the rest is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The owner's name: not yet fit for a terminal.
    pub comm: Option<Arc<str>>,
    /// The owner.
    pub pid: Option<u32>,
    /// Where one of several processes is meant: these, with their numbers if these are asked for.
    pub candidates: Candidates,
    /// When the owner started, in ns of `CLOCK_BOOTTIME`.
    pub started_ns: Option<u64>,
    /// The remote address; an IPv4 address in IPv4 form, even if the socket has it v4-mapped.
    pub remote: Option<IpAddr>,
    /// The service's port.
    pub port: Option<u16>,
    /// Path of the owner's control group, from the cgroup root: not yet fit for a terminal.
    pub cgroup: Option<Arc<str>>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// The socket's family.
    pub family: Option<Family>,
}

impl Key {
    /// The key of a socket with its owner.
    #[must_use]
    pub fn of(by: &[Part], socket: &Identity, owner: Option<&Owner>) -> Self {
        Self::of_one_of(by, socket, owner, &[])
    }

    /// The same of a socket that several processes may accept, if there are several.
    #[must_use]
    pub fn of_one_of(
        by: &[Part],
        socket: &Identity,
        owner: Option<&Owner>,
        candidates: &[(u32, &str)],
    ) -> Self {
        let mut key = Self::default();
        let process = owner.map(|owner| &owner.process);
        for part in by {
            match part {
                Part::Comm => key.comm = process.map(|process| process.comm.clone()),
                Part::Pid => {
                    key.comm = process.map(|process| process.comm.clone());
                    key.pid = process.and_then(|process| process.pid);
                    key.started_ns = process.and_then(|process| process.started_ns);
                }
                Part::Remote => key.remote = Some(socket.remote.address.to_canonical()),
                Part::Port => {
                    // A socket that is not known to come from a listener counts as a client.
                    let end = match socket.role {
                        Role::Server => socket.local,
                        Role::Client | Role::Unknown => socket.remote,
                    };
                    key.port = Some(end.port).filter(|port| *port != 0);
                }
                Part::Cgroup => key.cgroup = owner.and_then(|owner| owner.cgroup.clone()),
                Part::Netns => key.netns = socket.netns,
                Part::Family => key.family = Some(socket.family),
            }
        }
        if by.contains(&Part::Pid) || by.contains(&Part::Comm) {
            key.set_candidates(candidates, by.contains(&Part::Pid));
        }
        key
    }

    fn set_candidates(&mut self, candidates: &[(u32, &str)], numbers: bool) {
        let all = candidates.iter();
        match one_of(all.map(|(pid, comm)| (numbers.then_some(*pid), Arc::from(*comm)))) {
            OneOf::Named(comm) => self.comm = Some(comm),
            OneOf::Candidates(candidates) => self.candidates = candidates,
        }
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::fixtures::{end, transition};

    #[test]
    fn only_what_is_asked_for_is_in_it() {
        let seen = transition(1, TcpState::CloseWait, TcpState::LastAck, 5);
        let key = |by: &[Part], owner| Key::of(by, &seen.socket, owner);
        let owner = seen.opener.as_ref();
        assert_eq!(key(&[], owner), Key::default());
        let comm = key(&[Part::Comm], owner);
        assert_eq!((comm.comm.as_deref(), comm.pid), (Some("java"), None));
        let pid = key(&[Part::Pid], owner);
        assert_eq!((pid.comm.as_deref(), pid.pid), (Some("java"), Some(4242)));
        assert!(pid.started_ns.is_some());
        assert_eq!(key(&[Part::Pid, Part::Cgroup], None), Key::default());
        let ends = key(&[Part::Remote, Part::Port], owner);
        assert_eq!(ends.remote, Some("10.0.0.7".parse().expect("an address")));
        assert_eq!(ends.port, Some(8080));
    }

    #[test]
    fn several_that_may_accept_are_candidates() {
        let seen = transition(1, TcpState::CloseWait, TcpState::LastAck, 5);
        let of = |by, all: &[(u32, &str)]| Key::of_one_of(&[by], &seen.socket, None, all);
        let workers = [(7, "nginx"), (8, "nginx"), (9, "nginx")];
        let comm = of(Part::Comm, &workers);
        assert_eq!(comm.comm.as_deref(), Some("nginx"));
        assert!(comm.candidates.is_empty());
        let pid = of(Part::Pid, &workers);
        assert_eq!((pid.comm, pid.pid), (None, None));
        assert_eq!(pid.candidates.len(), 3);
        assert_eq!(
            of(Part::Comm, &[(1, "a"), (2, "b"), (3, "b")])
                .candidates
                .len(),
            2
        );
        assert_eq!(of(Part::Remote, &workers).candidates, []);
    }

    #[test]
    fn a_server_has_its_own_port_and_mapped_addresses_are_one() {
        let mut seen = transition(1, TcpState::CloseWait, TcpState::LastAck, 5);
        seen.socket.role = Role::Server;
        seen.socket.local.port = 443;
        seen.socket.remote = end("::ffff:10.0.0.9", 51000);
        let key = Key::of(&[Part::Remote, Part::Port], &seen.socket, None);
        assert_eq!(key.port, Some(443));
        assert_eq!(key.remote, Some("10.0.0.9".parse().expect("an address")));
    }
}

//! Open connections as a client, and which process has them.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use tcptrace_common::TcpState;

use super::{
    pass::Pass,
    tables::{REST, SLOW},
};
use crate::{
    model::{
        cause::Upstream,
        caveat::Caveat,
        socket::Endpoint,
        stuck::look::{Listed, Listening},
    },
    source::{
        diag::ask::{self, Answers, Scope},
        machine::netns::Namespaces,
    },
};

/// So many namespaces are asked.
const NAMESPACES: usize = 8;
/// So many remote ends of a process are told.
const REMOTES: usize = 16;
/// The process has not closed a connection in `ESTABLISHED`; in the others it has at least ended its own half, and may
/// still wait for the other one.
const STATES: [TcpState; 3] = [
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
];

/// With more sockets that their process has closed, those in `ESTABLISHED` alone are asked for.
const FEW_ORPHANS: u64 = 1000;

/// How many sockets of the machine their process has closed (`tcp_orphan_count_sum`, `net/ipv4/tcp.c`); `None` if that
/// is not known.
fn orphans() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/net/sockstat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    let mut words = line.split_whitespace();
    words.find(|word| *word == "orphan")?;
    words.next()?.parse().ok()
}

/// Connections as a client, of whichever process, and where they go.
///
/// sock_diag does not say which end began. One whose local port is that of a listener in the same namespace is taken for
/// the server's end, all others for a client's: wrong where the listener has gone, and where a client uses its port.
#[derive(Debug, Default)]
pub struct Open {
    /// By inode.
    remotes: HashMap<u32, Endpoint>,
    /// The namespaces that have answered.
    answered: HashSet<u32>,
}

impl Open {
    fn of(asked: impl Iterator<Item = u32>, answers: &Answers) -> Self {
        let failed: HashSet<u32> = answers.caveats.iter().filter_map(unanswered).collect();
        let port = |one: &Listening| (one.netns, one.local.port);
        let listening: HashSet<_> = answers.listening.iter().map(port).collect();
        let is_client = |one: &&Listed| {
            one.details.inode != 0 && !listening.contains(&(one.netns, one.local.port))
        };
        let clients = answers.listed.iter().filter(is_client);
        Self {
            remotes: clients.map(|one| (one.details.inode, one.remote)).collect(),
            // One that is gone has no sockets.
            answered: asked.filter(|inode| !failed.contains(inode)).collect(),
        }
    }

    /// Where those of a process go that it still has open, the most first; `None` if its namespace (`netns`) was not
    /// asked, or did not answer.
    pub fn of_process(&self, netns: u32, has: &Pass) -> Option<Vec<Upstream>> {
        self.answered.get(&netns)?;
        let mut counts: HashMap<Endpoint, usize> = HashMap::new();
        for remote in has
            .sockets
            .iter()
            .filter_map(|inode| self.remotes.get(inode))
        {
            *counts.entry(*remote).or_default() += 1;
        }
        let upstream = |(remote, count)| Upstream { remote, count };
        let mut all: Vec<_> = counts.into_iter().map(upstream).collect();
        all.sort_unstable_by_key(|one| (Reverse(one.count), one.remote));
        all.truncate(REMOTES);
        Some(all)
    }
}

/// The namespace that could not be asked, or not for all of its sockets.
fn unanswered(caveat: &Caveat) -> Option<u32> {
    match caveat {
        Caveat::UnlistedNamespace { netns, .. } | Caveat::UnlistedMptcp { netns, .. } => {
            Some(*netns)
        }
        _ => None,
    }
}

/// Asks sock_diag, once for all processes of a look; less often where it takes long.
#[derive(Debug, Default)]
pub struct Connections {
    kept: Option<(Instant, Arc<Open>)>,
}

impl Connections {
    /// Which of the namespaces are to be asked now, and whether some are left out.
    pub fn due(&mut self, wanted: &BTreeSet<u32>) -> (BTreeSet<u32>, bool) {
        let more = wanted.len() > NAMESPACES;
        if self
            .kept
            .as_ref()
            .is_some_and(|(read, _)| read.elapsed() >= REST)
        {
            self.kept = None;
        }
        match self.kept {
            Some(_) => (BTreeSet::new(), more),
            None => (wanted.iter().copied().take(NAMESPACES).collect(), more),
        }
    }

    /// The connections: those kept, or what these namespaces answer. `paths`: what leads to namespaces.
    pub fn read(&mut self, due: &BTreeSet<u32>, paths: &HashMap<u32, PathBuf>) -> Arc<Open> {
        if let Some((_, kept)) = &self.kept {
            return Arc::clone(kept);
        }
        let began = Instant::now();
        let mut namespaces = Namespaces::default();
        let reached = due.iter().filter_map(|inode| paths.get_key_value(inode));
        (namespaces.paths).extend(reached.map(|(inode, path)| (*inode, path.clone())));
        let scope = Scope {
            state: TcpState::Established,
            older_than_ns: 0,
            netns: None,
            family: None,
        };
        // Orphans are in these states, too, and cannot be left out of the answer.
        let states = match orphans() {
            Some(count) if count <= FEW_ORPHANS => &STATES[..],
            _ => &STATES[..1],
        };
        let answers = ask::in_states(&scope, states, &namespaces);
        let open = Arc::new(Open::of(namespaces.paths.keys().copied(), &answers));
        if began.elapsed() > SLOW {
            self.kept = Some((Instant::now(), Arc::clone(&open)));
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Shutdown, TcpListener, TcpStream},
        path::Path,
    };

    use rustix::fs::fstat;

    use super::*;
    use crate::source::{clues::pass, machine::netns::own};

    fn read(connections: &mut Connections) -> Arc<Open> {
        let own = BTreeSet::from([own().expect("there is one")]);
        let (due, more) = connections.due(&own);
        assert!(!more);
        let path = |inode| (inode, "/proc/self/ns/net".into());
        connections.read(&due, &due.iter().copied().map(path).collect())
    }

    fn inode(stream: &TcpStream) -> u32 {
        fstat(stream)
            .expect("open")
            .st_ino
            .try_into()
            .expect("32 bits")
    }

    #[test]
    fn connections_as_a_client_are_counted() {
        let own = own().expect("there is one");
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a listener"));
        let ends = [3, 2].iter().zip(&listeners).flat_map(|(count, listener)| {
            let address = listener.local_addr().expect("it has one");
            (0..*count).map(move |_| {
                let client = TcpStream::connect(address).expect("it listens");
                (client, listener.accept().expect("a connection").0)
            })
        });
        let ends: Vec<_> = ends.collect();
        // One of the first is half closed, and one has ended for us: its peer closed first.
        ends[0].0.shutdown(Shutdown::Write).expect("it is open");
        ends[1].1.shutdown(Shutdown::Write).expect("it is open");
        let open = read(&mut Connections::default());
        let has = pass::over(Path::new("/proc/self"), &[], &mut 100_000).expect("readable");
        let found = open.of_process(own, &has).expect("it was asked");
        for listener in &listeners {
            let address = listener.local_addr().expect("it has one");
            let remote = Endpoint {
                address: address.ip(),
                port: address.port(),
            };
            assert!(found.contains(&Upstream { remote, count: 2 }), "{found:?}");
        }
        let servers: Vec<_> = ends.iter().map(|(_, server)| inode(server)).collect();
        assert!(
            servers
                .iter()
                .all(|inode| !open.remotes.contains_key(inode))
        );
        // What another process has is not its own.
        assert_eq!(open.of_process(own, &Pass::default()), Some(Vec::new()));
        assert_eq!(open.of_process(1, &has), None);
    }

    #[test]
    fn the_most_come_first_and_few_are_told() {
        let remote = |port| Endpoint {
            address: [10, 0, 0, 1].into(),
            port,
        };
        let mut open = Open {
            answered: HashSet::from([7]),
            ..Open::default()
        };
        let mut has = Pass::default();
        for inode in 0..100 {
            open.remotes
                .insert(inode, remote(if inode < 70 { 1 } else { inode as u16 }));
            has.sockets.insert(inode);
        }
        let found = open.of_process(7, &has).expect("it was asked");
        assert_eq!(found.len(), REMOTES);
        assert_eq!(
            found[0],
            Upstream {
                remote: remote(1),
                count: 70
            }
        );
        assert_eq!(
            found[1],
            Upstream {
                remote: remote(70),
                count: 1
            }
        );
    }

    #[test]
    fn a_namespace_that_does_not_answer_is_unknown() {
        let answers = Answers {
            caveats: vec![Caveat::UnlistedNamespace {
                netns: 7,
                error: "?".into(),
            }],
            ..Answers::default()
        };
        let open = Open::of([7, 8].into_iter(), &answers);
        assert_eq!(open.answered, HashSet::from([8]));
    }

    #[test]
    fn what_took_long_is_kept_for_a_while() {
        let mut connections = Connections::default();
        let kept = Arc::new(Open {
            answered: HashSet::from([7]),
            ..Open::default()
        });
        connections.kept = Some((Instant::now(), Arc::clone(&kept)));
        let wanted = (0..10).collect();
        assert_eq!(connections.due(&wanted), (BTreeSet::new(), true));
        let again = connections.read(&BTreeSet::new(), &HashMap::new());
        assert!(Arc::ptr_eq(&again, &kept));
        connections.kept = Instant::now()
            .checked_sub(REST)
            .map(|long_ago| (long_ago, kept));
        assert_eq!(connections.due(&wanted), ((0..8).collect(), true));
    }
}

//! Everything that is in the kernel's tables of TCP, once, with whose it is: what is only counted.
//!
//! The walk finds what has a descriptor. What the kernel counts beyond that is asked of `sock_diag`: first
//! what processes have closed, which is most often all of it.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use tcptrace_common::{BriefRecord, SocketRecord, TcpState};

use crate::{
    model::{
        caveat::Caveat,
        request::WalkChoice,
        socket::{Endpoint, Protocol, Role},
        states::member::{Holders, Kind, Member, NamedProcess, NoSocket},
        stuck::look::{Descriptors, Listed, Listening},
    },
    source::{
        bpf::socket::{endpoint, family},
        diag::ask::{self, Answers, Scope},
        error::StartError,
        machine::{
            cgroup::Cgroups,
            netns::{Namespace, Namespaces},
            process,
        },
        walk::{
            convert::name,
            count::{self, Counts},
            object::Wanted,
            places::Before,
            proc,
            run::Counted,
            walker::{KernelWalk, ProcWalk, Walker},
        },
    },
};

/// The states of sockets that their process has closed.
const CLOSED: [TcpState; 4] = [
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::Closing,
    TcpState::LastAck,
];

/// The others that `sock_diag` lists.
const OPEN: [TcpState; 4] = [
    TcpState::Established,
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::CloseWait,
];

/// What is to be counted.
#[derive(Debug, Clone)]
pub struct CensusScope {
    /// Where.
    pub scope: Scope,
    /// Whether the ends of what is no socket matter: then it is listed one by one.
    pub with_ends: bool,
    /// Whether control groups matter.
    pub with_cgroups: bool,
}

/// Takes what was found, one by one; with what `sock_diag` says about it, if that was asked: then nothing
/// else tells which side it is.
pub type Each<'a> = &'a mut dyn FnMut(Member, Option<&Listed>);

/// Counts the machine's sockets, look after look.
pub struct Census {
    walker: Walker,
    wanted: CensusScope,
    cgroups: Groups,
}

impl Census {
    /// Loads the walk.
    ///
    /// # Errors
    /// When the user chose a way to walk that does not work.
    pub fn start(choice: WalkChoice, wanted: CensusScope) -> Result<Self, StartError> {
        let walk = Wanted {
            brief: true,
            with_cgroups: wanted.with_cgroups,
            ..Wanted::default()
        };
        Ok(Self {
            walker: Walker::start_for(choice, walk)?,
            wanted,
            cgroups: Groups::default(),
        })
    }

    /// The way in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        self.walker.describe()
    }

    /// Gives everything to `each`; returns what could not be seen.
    ///
    /// # Errors
    /// When the walk fails.
    pub fn look(&mut self, each: Each<'_>) -> io::Result<Vec<Caveat>> {
        let before = Before::read(&self.wanted.scope)?;
        let mut look = Look {
            wanted: &self.wanted,
            cgroups: &mut self.cgroups,
            each,
            caveats: Vec::new(),
        };
        match &mut self.walker {
            Walker::Kernel(kernel) => look.by_walk(kernel, before)?,
            Walker::Proc(proc) => look.by_proc(proc, before),
        }
        Ok(look.caveats)
    }
}

/// Paths of control groups by id, each kept once.
#[derive(Debug, Default)]
struct Groups {
    paths: Cgroups,
    known: HashMap<u64, Option<Arc<str>>>,
}

impl Groups {
    fn path(&mut self, id: u64) -> Option<Arc<str>> {
        let paths = &mut self.paths;
        let path = (self.known.entry(id)).or_insert_with(|| paths.path(id).map(Arc::from));
        path.clone().filter(|_| id != 0)
    }
}

/// One look.
struct Look<'a> {
    wanted: &'a CensusScope,
    cgroups: &'a mut Groups,
    each: Each<'a>,
    caveats: Vec<Caveat>,
}

/// A socket's namespace and ends.
type Place = (u32, Endpoint, Endpoint);

/// What a walk has found so far, apart from what was given on.
#[derive(Default)]
struct Walked {
    names: HashMap<u32, Arc<str>>,
    /// Sockets that several descriptors refer to, with all of them.
    shared: HashMap<u64, Vec<BriefRecord>>,
    /// Listeners in whose queues connections wait, and their holders.
    queues: Vec<(BriefRecord, Holders)>,
    /// MPTCP connections, whose subflows have the same ends.
    mptcp: HashSet<Place>,
    /// Sockets in [`CLOSED`].
    closing: HashSet<Place>,
    /// Connections in accept queues.
    waiting: HashSet<Place>,
    counted: HashMap<u32, Counted>,
}

impl Look<'_> {
    fn in_scope(&self, netns: u32) -> bool {
        self.wanted.scope.netns.is_none_or(|only| only == netns)
    }

    fn by_walk(&mut self, kernel: &mut KernelWalk, mut before: Before) -> io::Result<()> {
        let run = kernel.run(false)?;
        if run.incomplete {
            self.caveats.push(Caveat::UnreadDescriptors);
        }
        let mut walked = Walked::default();
        for one in run.counted {
            let known = walked.counted.entry(one.netns).or_insert(Counted {
                states: [0; 16],
                ..one
            });
            for (sum, count) in known.states.iter_mut().zip(one.states) {
                *sum += count;
            }
        }
        for index in 0..run.records {
            let Some(record) = kernel.brief(index) else {
                break;
            };
            if record.flags & BriefRecord::ALONE == 0 {
                walked.shared.entry(record.sock).or_default().push(record);
            } else {
                let first = Some(walked.process(&record));
                let holders = Holders {
                    first,
                    ..Holders::default()
                };
                self.found(&mut walked, &record, holders);
            }
        }
        self.several_holders(&mut walked);
        self.queues(kernel, &mut walked);
        let scope = &self.wanted.scope;
        let hidden = (kernel.search).add_hidden(scope, &mut before, &walked.counted);
        self.caveats.extend(hidden);
        let refusal = before.namespaces.refusal();
        for (namespace, counts) in before.counts {
            match counts {
                Ok(counts) => self.rest(kernel, &walked, run.records, &namespace, counts),
                // The namespace is gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.caveats.push(Caveat::UnlistedNamespace {
                    netns: namespace.inode,
                    error: error.to_string(),
                }),
            }
        }
        if scope.netns.is_none() {
            self.caveats.extend(refusal);
        }
        Ok(())
    }

    /// Gives on a socket that the walk has found.
    fn found(&mut self, walked: &mut Walked, record: &BriefRecord, holders: Holders) {
        let (Some(state), Some(family)) =
            (TcpState::from_number(record.state), family(record.family))
        else {
            return;
        };
        let local = endpoint(family, record.local, record.local_port);
        let remote = endpoint(family, record.remote, record.remote_port);
        let place = (record.netns, local, remote);
        if record.flags & BriefRecord::MPTCP != 0 {
            walked.mptcp.insert(place);
        } else if CLOSED.contains(&state) {
            walked.closing.insert(place);
        }
        if !self.in_scope(record.netns) {
            return;
        }
        let member = Member {
            kind: Kind::Socket(state),
            count: 1,
            residue: state == TcpState::Close
                && record.flags & BriefRecord::CONNECTED != 0
                && record.remote_port != 0,
            netns: record.netns,
            family: Some(family),
            local: Some(local),
            remote: Some(remote),
            role: match record.flags & (BriefRecord::SERVER | BriefRecord::CLIENT) {
                _ if state == TcpState::Listen => Role::Server,
                BriefRecord::SERVER => Role::Server,
                BriefRecord::CLIENT => Role::Client,
                _ => Role::Unknown,
            },
            holders,
            cgroup: self.cgroups.path(record.cgroup),
            queued: record.queued.into(),
        };
        if state == TcpState::Listen {
            if record.half_open > 0 && !self.wanted.with_ends {
                let requests = Member {
                    kind: Kind::NoSocket(NoSocket::HalfOpen),
                    count: record.half_open.into(),
                    remote: None,
                    queued: 0,
                    ..member.clone()
                };
                (self.each)(requests, None);
            }
            if record.queued > 0 {
                walked.queues.push((*record, member.holders.clone()));
            }
        }
        (self.each)(member, None);
    }

    /// Gives on the sockets that several descriptors refer to: each once.
    fn several_holders(&mut self, walked: &mut Walked) {
        let shared = std::mem::take(&mut walked.shared);
        let pids = shared.values().flatten().map(|record| record.pid);
        let pids: HashSet<u32> = pids.collect();
        let started = match pids.len() {
            0 | 1 => HashMap::new(),
            _ => process::infos(pids.into_iter()),
        };
        for records in shared.into_values() {
            let mut pids: Vec<u32> = records.iter().map(|record| record.pid).collect();
            pids.sort_unstable();
            pids.dedup();
            let age = |pid: &u32| started.get(pid).map_or(u64::MAX, |info| info.started);
            pids.sort_by_key(|pid| (age(pid), *pid));
            let mut processes = pids.iter().map(|pid| {
                let of_it = records.iter().find(|record| record.pid == *pid);
                walked.process(of_it.unwrap_or(&records[0]))
            });
            let holders = Holders {
                first: processes.next(),
                others: processes.collect(),
                are_candidates: false,
            };
            let record = records[0];
            self.found(walked, &record, holders);
        }
    }

    /// Gives on the connections that wait to be accepted.
    fn queues(&mut self, kernel: &mut KernelWalk, walked: &mut Walked) {
        let mut unread = 0;
        for (listener, mut holders) in std::mem::take(&mut walked.queues) {
            let asked = SocketRecord {
                sock: listener.sock,
                subflow: listener.subflow,
                netns: listener.netns,
                ..SocketRecord::default()
            };
            let Ok(children) = kernel.queue(&asked) else {
                unread += 1;
                continue;
            };
            holders.are_candidates = !holders.others.is_empty();
            for child in children {
                let meaning = kernel.meaning();
                let Some(listed) = meaning.listed(&child) else {
                    continue;
                };
                if listed.state == TcpState::Close {
                    continue;
                }
                if listed.protocol == Protocol::Mptcp {
                    walked.mptcp.insert(place(&listed));
                } else if let Some(counted) = walked.counted.get_mut(&child.netns) {
                    counted.states[usize::from(child.state & 15)] += 1;
                }
                walked.waiting.insert(place(&listed));
                if self.in_scope(listed.netns) {
                    let member = Member {
                        role: Role::Server,
                        ..self.listed(&listed, holders.clone())
                    };
                    (self.each)(member, None);
                }
            }
        }
        if unread > 0 {
            self.caveats.push(Caveat::UnreadQueues(unread));
        }
    }

    /// Gives on what a namespace has and the walk has not found.
    fn rest(
        &mut self,
        kernel: &KernelWalk,
        walked: &Walked,
        records: usize,
        namespace: &Namespace,
        counts: Counts,
    ) {
        let found = walked
            .counted
            .get(&namespace.inode)
            .map_or(0, Counted::open);
        let is_short = |found: u64| {
            let after = || count::of(namespace).map_or(u64::MAX, |after| after.in_use);
            counts.in_use > found && after() > found
        };
        let (mut remainders, mut more) = (0, 0);
        let has_closed = counts.time_wait > 0 || is_short(found) && count::orphans() > 0;
        if has_closed {
            let mut states = CLOSED.to_vec();
            if self.wanted.with_ends {
                states.push(TcpState::TimeWait);
            }
            let answers = self.ask(namespace, &states);
            remainders = self.no_sockets(&answers);
            more = self.nobodys(&answers, &[&walked.closing, &walked.mptcp]);
        }
        let waits = counts.time_wait.saturating_sub(remainders);
        if waits > 0 && !self.wanted.with_ends {
            let member = unknown_ends(namespace.inode, NoSocket::TimeWait, waits);
            (self.each)(member, None);
        }
        if !is_short(found + more) && !self.wanted.with_ends {
            return;
        }
        let known = all_places(kernel, records, namespace.inode);
        let known = [&known, &walked.mptcp, &walked.waiting];
        // Listeners are in a small table of their own.
        if is_short(found + more) {
            let answers = self.ask(namespace, &[TcpState::Listen]);
            more += self.nobodys(&answers, &known);
        }
        let states: &[TcpState] = match is_short(found + more) {
            true => &OPEN,
            false if self.wanted.with_ends => &[TcpState::SynRecv],
            false => return,
        };
        let answers = self.ask(namespace, states);
        self.nobodys(&answers, &known);
    }

    /// Asks `sock_diag` in one namespace.
    fn ask(&mut self, namespace: &Namespace, states: &[TcpState]) -> Answers {
        let mut only = Namespaces::default();
        only.paths.insert(namespace.inode, namespace.path.clone());
        let scope = Scope {
            netns: Some(namespace.inode),
            ..self.wanted.scope.clone()
        };
        let mut answers = ask::in_states(&scope, states, &only);
        self.caveats.append(&mut answers.caveats);
        answers
    }

    /// Gives on what is no socket; returns how many are in `FIN_WAIT2`.
    fn no_sockets(&mut self, answers: &Answers) -> u64 {
        let mut closed = 0;
        for one in &answers.remainders {
            let kind = match one.state {
                TcpState::FinWait2 => NoSocket::FinWait2Remainder,
                _ => NoSocket::TimeWait,
            };
            closed += u64::from(kind == NoSocket::FinWait2Remainder);
            let member = Member {
                kind: Kind::NoSocket(kind),
                ..self.listed(one, Holders::default())
            };
            (self.each)(member, None);
        }
        closed
    }

    /// Gives on the sockets that are in none of these places; returns how many there are.
    fn nobodys(&mut self, answers: &Answers, known: &[&HashSet<Place>]) -> u64 {
        let mut count = 0;
        for socket in &answers.listed {
            let place = place(socket);
            // Without ends, requests are counted by their listener.
            let counts = self.wanted.with_ends || !is_request(socket);
            if counts && !known.iter().any(|known| known.contains(&place)) {
                count += u64::from(!is_request(socket));
                let member = self.listed(socket, Holders::default());
                (self.each)(member, Some(socket));
            }
        }
        count
    }

    fn listed(&mut self, socket: &Listed, holders: Holders) -> Member {
        Member {
            kind: match is_request(socket) {
                true => Kind::NoSocket(NoSocket::HalfOpen),
                false => Kind::Socket(socket.state),
            },
            count: 1,
            residue: false,
            netns: socket.netns,
            family: Some(socket.family),
            local: Some(socket.local),
            remote: Some(socket.remote),
            role: Role::Unknown,
            holders,
            cgroup: match socket.details.cgroup_id {
                Some(id) if self.wanted.with_cgroups => self.cgroups.path(id),
                _ => None,
            },
            queued: 0,
        }
    }

    /// Everything by `sock_diag` and `/proc`.
    fn by_proc(&mut self, walk: &mut ProcWalk, mut before: Before) {
        let scope = &self.wanted.scope;
        walk.search.add_hidden_unwalked(scope, &mut before);
        let mut states = [CLOSED.as_slice(), OPEN.as_slice()].concat();
        states.extend([TcpState::Listen, TcpState::TimeWait]);
        let answers = ask::in_states(scope, &states, &before.namespaces);
        self.caveats.extend(answers.caveats.iter().cloned());
        self.caveats.push(Caveat::ResidueNotLookedFor);
        self.no_sockets(&answers);
        let inodes = answers.listed.iter().map(|one| one.details.inode.into());
        let inodes: HashSet<u64> = inodes.collect();
        let held = match proc::find(&inodes) {
            Ok(found) => Descriptors::new(found.held),
            Err(error) => {
                (self.caveats).push(Caveat::UnknownHolders(error.to_string()));
                Descriptors::default()
            }
        };
        for socket in &answers.listed {
            let mut named: Vec<NamedProcess> = (held.of(socket.details.inode).iter())
                .map(|one| (one.holder.pid, Arc::clone(&one.holder.comm)))
                .collect();
            named.dedup();
            let mut named = named.into_iter();
            let holders = Holders {
                first: named.next(),
                others: named.collect(),
                are_candidates: false,
            };
            let mut listeners = answers.listening.iter();
            let same = |one: &&Listening| one.inode == socket.details.inode;
            let queued = match socket.state {
                TcpState::Listen => listeners.find(same).map_or(0, |one| one.queued),
                _ => 0,
            };
            let member = Member {
                queued: queued.into(),
                ..self.listed(socket, holders)
            };
            (self.each)(member, Some(socket));
        }
    }
}

impl Walked {
    fn process(&mut self, record: &BriefRecord) -> NamedProcess {
        let comm = (self.names.entry(record.pid)).or_insert_with(|| name(record.comm).into());
        (record.pid, Arc::clone(comm))
    }
}

/// Where the sockets are that the walk found in a namespace.
fn all_places(kernel: &KernelWalk, records: usize, netns: u32) -> HashSet<Place> {
    let all = (0..records).filter_map(|index| kernel.brief(index));
    let place = |record: BriefRecord| {
        let family = family(record.family)?;
        let local = endpoint(family, record.local, record.local_port);
        let remote = endpoint(family, record.remote, record.remote_port);
        Some((record.netns, local, remote))
    };
    all.filter(|record| record.netns == netns)
        .filter_map(place)
        .collect()
}

/// A request for a connection is listed as if it were a socket.
fn is_request(socket: &Listed) -> bool {
    socket.state == TcpState::SynRecv && socket.details.inode == 0
}

fn place(socket: &Listed) -> Place {
    (socket.netns, socket.local, socket.remote)
}

/// Things of which only the number is known.
fn unknown_ends(netns: u32, kind: NoSocket, count: u64) -> Member {
    Member {
        kind: Kind::NoSocket(kind),
        count,
        residue: false,
        netns,
        family: None,
        local: None,
        remote: None,
        role: Role::Unknown,
        holders: Holders::default(),
        cgroup: None,
        queued: 0,
    }
}

//! Everything that is in the kernel's tables of TCP, once, with whose it is: what is only counted.
//!
//! The walk finds what has a descriptor. What the kernel counts beyond that is asked of `sock_diag`: first
//! what processes have closed, which is most often all of it.

mod rest;
mod unwalked;
mod walked;

use std::{
    collections::{HashMap, HashSet},
    io,
    panic::resume_unwind,
    sync::Arc,
    thread,
};

use tcptrace_common::TcpState;

use crate::{
    model::{
        caveat::Caveat,
        request::WalkChoice,
        socket::{Endpoint, Role, others},
        states::member::{Holders, Kind, Member, NoSocket},
        stuck::look::Listed,
    },
    source::{
        diag::ask::{self, Answers, Scope},
        error::StartError,
        machine::{
            cgroup::{self, Cgroups},
            netns::{Namespace, Namespaces},
            pid_namespace, process,
        },
        walk::{object::Wanted, places::Before, walker::Walker},
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
    /// Whether those of holders matter, too.
    pub with_holders_cgroups: bool,
}

/// Takes what was found, one by one; with what `sock_diag` says about it, if that was asked: then nothing
/// else tells which side it is.
pub type Each<'a> = &'a mut dyn FnMut(Member, Option<&Listed>);

/// Counts the machine's sockets, look after look.
pub struct Census {
    walker: Walker,
    wanted: CensusScope,
    cgroups: Groups,
    /// What was read for the first look while the walk was being loaded.
    first: Option<Before>,
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
        let (walker, before) = thread::scope(|threads| {
            let before = threads.spawn(|| Before::read(&wanted.scope));
            let walker = Walker::start_for(choice, walk);
            let before = before.join();
            (walker, before.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        Ok(Self {
            walker: walker?,
            wanted,
            cgroups: Groups::default(),
            first: before.ok(),
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
        let before = match self.first.take() {
            Some(first) => first,
            None => Before::read(&self.wanted.scope)?,
        };
        self.cgroups.processes.clear();
        self.cgroups.known.clear();
        self.cgroups.unnamed = 0;
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
        if pid_namespace::nested().is_some() {
            look.caveats.push(Caveat::PidNamespace);
        }
        let mut caveats = look.caveats;
        if self.cgroups.unnamed > 0 && cgroup::sees_all() {
            caveats.push(Caveat::UnknownControlGroups(self.cgroups.unnamed));
        }
        Ok(caveats)
    }
}

/// Paths of control groups by id, each kept once.
#[derive(Debug, Default)]
struct Groups {
    paths: Cgroups,
    /// Those at this look, and how many of them have no path.
    known: HashMap<u64, Option<Arc<str>>>,
    unnamed: u64,
    /// Those of processes at this look.
    processes: HashMap<u32, Option<Arc<str>>>,
}

impl Groups {
    fn path(&mut self, id: u64) -> Option<Arc<str>> {
        if id == 0 {
            return None;
        }
        let (paths, unnamed) = (&mut self.paths, &mut self.unnamed);
        let path = self.known.entry(id).or_insert_with(|| {
            let path = paths.path(id);
            *unnamed += u64::from(path.is_none());
            path
        });
        path.clone()
    }

    /// Those of the processes that are others than `cgroup`.
    fn others(&mut self, cgroup: Option<&Arc<str>>, holders: &Holders) -> Vec<Arc<str>> {
        for (pid, _) in holders.all() {
            let processes = &mut self.processes;
            (processes.entry(*pid)).or_insert_with(|| process::cgroup(*pid));
        }
        let processes = &self.processes;
        let groups = holders
            .all()
            .filter_map(|(pid, _)| processes.get(pid)?.as_ref());
        others(cgroup, groups)
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

impl Look<'_> {
    fn in_scope(&self, netns: u32) -> bool {
        self.wanted.scope.netns.is_none_or(|only| only == netns)
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
                let holders = Holders {
                    are_unknown: socket.details.inode != 0,
                    ..Holders::default()
                };
                let member = self.listed(socket, holders);
                (self.each)(member, Some(socket));
            }
        }
        count
    }

    /// The control groups of the holders that are others than `cgroup`, if they matter.
    fn other_cgroups(&mut self, cgroup: Option<&Arc<str>>, holders: &Holders) -> Vec<Arc<str>> {
        match self.wanted.with_holders_cgroups {
            true => self.cgroups.others(cgroup, holders),
            false => Vec::new(),
        }
    }

    fn listed(&mut self, socket: &Listed, holders: Holders) -> Member {
        let cgroup = match socket.details.cgroup_id {
            Some(id) if self.wanted.with_cgroups => self.cgroups.path(id),
            _ => None,
        };
        Member {
            other_cgroups: self.other_cgroups(cgroup.as_ref(), &holders),
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
            cgroup,
            queued: 0,
        }
    }
}

/// A request for a connection is listed as if it were a socket.
fn is_request(socket: &Listed) -> bool {
    socket.state == TcpState::SynRecv && socket.details.inode == 0
}

fn place(socket: &Listed) -> Place {
    (socket.netns, socket.local, socket.remote)
}

//! One pass over the machine: which sockets are in the watched state, and who holds them.
//!
//! The walk finds what has a descriptor, in every namespace. It is held against the kernel's own
//! count of each namespace; where sockets are missing, `sock_diag` is asked.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use tcptrace_common::{AF_UNIX, IPPROTO_MPTCP, IPPROTO_TCP, SocketRecord, TcpState};

use crate::{
    model::{
        caveat::Caveat,
        owner::{Holder, Via},
        socket::Protocol,
        stuck::look::{
            Coverage, DeadSocket, Descriptor, Descriptors, Listed, Listening, Looked, Waiting,
        },
    },
    source::{
        diag::ask::{self, Scope, Subflows},
        machine::{
            netns::{Namespace, Namespaces},
            pid_namespace,
        },
        walk::{
            convert::{self, Names},
            count::{self, Counts},
            places::Before,
            proc,
            run::{Counted, States, open},
            walker::{KernelWalk, ProcWalk, Walker},
        },
    },
};

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Sockets in the watched state.
    pub listed: Vec<Listed>,
    /// Listeners.
    pub listening: Vec<Listening>,
    /// The connections in their queues.
    pub waiting: Vec<Waiting>,
    /// Sockets that are closed in the network and still open in a process; `None` if they were not
    /// looked for.
    pub dead: Option<Vec<DeadSocket>>,
    /// The holders of all of these; `None` if they could not be read.
    pub held: Option<Descriptors>,
    /// Which namespaces are completely in it.
    pub coverage: Coverage,
    /// What it went through.
    pub looked: Looked,
    /// Accept queues with connections that could not be read.
    unread_queues: u64,
    /// What tells the subflows of the MPTCP connections that were found.
    subflows: Subflows,
    /// Names of network namespaces by inode number.
    pub netns_names: HashMap<u32, String>,
    /// What could not be seen.
    pub caveats: Vec<Caveat>,
}

impl Walker {
    /// Looks at the machine.
    ///
    /// # Errors
    /// When the walk fails.
    pub fn survey(&mut self, scope: &Scope, before: Before) -> io::Result<Survey> {
        let mut survey = match self {
            Self::Kernel(kernel) => kernel.survey(scope, before)?,
            Self::Proc(proc) => by_proc(proc, scope, before),
        };
        let waits = |socket: &Listed| socket.details.inode == 0;
        if survey.unread_queues > 0 && survey.listed.iter().any(waits) {
            let unread = Caveat::UnreadQueues(survey.unread_queues);
            survey.caveats.push(unread);
        }
        if pid_namespace::nested().is_some() {
            survey.caveats.push(Caveat::PidNamespace);
        }
        Ok(survey)
    }

    /// The namespaces of the machine, for a session that lists their sockets by `sock_diag`; and what is
    /// to be said about them.
    ///
    /// # Errors
    /// When `/proc` cannot be listed, or the walk fails.
    pub fn namespaces(&mut self, scope: &Scope) -> io::Result<(Namespaces, Option<Caveat>)> {
        let mut before = Before::read(scope)?;
        let caveat = match self {
            Self::Kernel(kernel) => {
                let (_, counted, _) = kernel.pass(&mut Survey::default(), None)?;
                kernel.search.add_hidden(scope, &mut before, &counted)
            }
            Self::Proc(proc) => {
                proc.search.add_hidden_unwalked(scope, &mut before);
                None
            }
        };
        Ok((before.namespaces, caveat))
    }

    /// Every descriptor of the sockets with these inodes and of others, and what waits in accept
    /// queues.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn holders(&mut self, inodes: &HashSet<u64>) -> io::Result<Holders> {
        match self {
            Self::Kernel(kernel) => {
                let mut survey = Survey::default();
                let (held, _, incomplete) = kernel.pass(&mut survey, None)?;
                Ok(Holders {
                    held,
                    listed: survey.listed,
                    listening: survey.listening,
                    waiting: survey.waiting,
                    incomplete,
                })
            }
            Self::Proc(_) => {
                let found = proc::find(inodes)?;
                Ok(Holders {
                    held: found.held,
                    incomplete: found.incomplete,
                    ..Holders::default()
                })
            }
        }
    }
}

/// Descriptors, and what waits in accept queues.
#[derive(Debug, Default)]
pub struct Holders {
    /// The descriptors.
    pub held: Vec<Descriptor>,
    /// The sockets in the watched states that were met; nothing by `/proc`.
    pub listed: Vec<Listed>,
    /// Likewise listeners.
    pub listening: Vec<Listening>,
    /// The connections in the queues, as far as these could be read.
    pub waiting: Vec<Waiting>,
    /// Whether some descriptors were left out.
    pub incomplete: bool,
}

impl KernelWalk {
    fn survey(&mut self, scope: &Scope, mut before: Before) -> io::Result<Survey> {
        let mut survey = Survey::default();
        let in_scope = |inode: &u32| scope.netns.is_none_or(|only| only == *inode);
        let (mut held, counted, mut incomplete) = self.pass(&mut survey, None)?;
        survey
            .caveats
            .extend(self.search.add_hidden(scope, &mut before, &counted));
        let Before {
            namespaces, counts, ..
        } = before;
        let nothing = Counted::default();
        let walked = counted.values().filter(|one| in_scope(&one.netns));
        survey.looked.sockets = Some(walked.map(Counted::open).sum());
        survey.looked.namespaces = counts.len();
        let mut short = Namespaces::default();
        for (namespace, before) in counts {
            let walked = counted.get(&namespace.inode).unwrap_or(&nothing);
            let lacks_times = only_diag_tells_times(scope.state)
                && walked.states[usize::from(scope.state.number())] > 0;
            let is_complete = is_complete(&namespace, scope.state, &walked.states, before);
            if is_complete {
                survey.coverage.complete.insert(namespace.inode);
            }
            if !is_complete || lacks_times {
                short.paths.insert(namespace.inode, namespace.path);
            }
        }
        if !short.paths.is_empty() {
            incomplete |= self.add_missing(&mut survey, &mut held, scope, &short)?;
        }
        survey.listed.retain(|socket| in_scope(&socket.netns));
        if let Some(dead) = &mut survey.dead {
            dead.retain(|socket| in_scope(&socket.listed.netns));
        }
        if incomplete {
            survey.caveats.push(Caveat::UnreadDescriptors);
        }
        // The only wanted namespace has been found.
        let found = |only| namespaces.paths.contains_key(&only);
        if !scope.netns.is_some_and(found) {
            survey.caveats.extend(namespaces.refusal());
        }
        survey.netns_names.clone_from(&namespaces.names);
        survey.held = Some(Descriptors::new(held));
        Ok(survey)
    }

    /// One walk: fills in the sockets, and returns descriptors, the sockets of each namespace, and
    /// whether some descriptors were left out. `on_their_way`: also finds those of these inodes that
    /// are in messages.
    fn pass(
        &mut self,
        survey: &mut Survey,
        on_their_way: Option<&HashSet<u64>>,
    ) -> io::Result<(Vec<Descriptor>, HashMap<u32, Counted>, bool)> {
        let meaning = self.meaning();
        let walked = self.run(on_their_way.is_some())?;
        let mut counted = walked.counted;
        let (mut met, mut dead) = (HashSet::new(), Vec::new());
        let mut names = Names::default();
        let mut held = Vec::with_capacity(walked.records);
        survey.listed.reserve(walked.records);
        for index in 0..walked.records {
            let Some(record) = &self.record(index) else {
                break;
            };
            if record.family == AF_UNIX {
                held.extend(self.on_their_way(record, on_their_way));
                continue;
            }
            held.push(convert::descriptor(record, &mut names));
            if !met.insert(record.sock) {
                continue;
            }
            if record.protocol == IPPROTO_MPTCP {
                let connection = meaning.listed(record);
                connection.iter().for_each(|one| survey.subflows.add(one));
            }
            match TcpState::from_number(record.state) {
                Some(TcpState::Close) => dead.extend(meaning.dead(record)),
                Some(TcpState::Listen) => {
                    survey.listening.extend(meaning.listening(record));
                    if record.queued > 0 {
                        self.add_queue(survey, record, &mut counted);
                    }
                }
                _ if self.watches(record.state) => survey.listed.extend(meaning.listed(record)),
                _ => {}
            }
        }
        survey.dead = Some(dead);
        Ok((held, counted, walked.incomplete))
    }

    /// Those of the inodes that are in messages of a Unix socket: whoever holds it can take them out.
    fn on_their_way(
        &mut self,
        unix: &SocketRecord,
        inodes: Option<&HashSet<u64>>,
    ) -> Vec<Descriptor> {
        let found = self.messages(unix).unwrap_or_default().into_iter();
        let wanted = |inode: &u64| inodes.is_some_and(|inodes| inodes.contains(inode));
        let descriptor = |inode| {
            let receiver = convert::descriptor(unix, &mut Names::default());
            let holder = Holder {
                via: Via::InFlight,
                ..receiver.holder
            };
            Descriptor { inode, holder }
        };
        found.filter(wanted).map(descriptor).collect()
    }

    /// Adds the connections in a listener's queue. A queue that cannot be read is left out: then its
    /// sockets are missing, and `sock_diag` is asked.
    fn add_queue(
        &mut self,
        survey: &mut Survey,
        listener: &SocketRecord,
        counted: &mut HashMap<u32, Counted>,
    ) {
        let Ok(children) = self.queue(listener) else {
            survey.unread_queues += 1;
            return;
        };
        let meaning = self.meaning();
        for child in children {
            if child.state == TcpState::Close.number() {
                continue;
            }
            if child.protocol == IPPROTO_TCP {
                let counted = counted.entry(child.netns).or_default();
                counted.states[usize::from(child.state & 15)] += 1;
            } else if let Some(connection) = meaning.listed(&child) {
                survey.subflows.add(&connection);
            }
            survey
                .waiting
                .extend(meaning.waiting(&child, listener.inode));
            if self.watches(child.state) {
                survey.listed.extend(meaning.listed(&child));
            }
        }
    }

    /// Asks `sock_diag` in the namespaces whose sockets the walk did not find all of, and looks for
    /// the holders of those; returns whether some descriptors were left out.
    fn add_missing(
        &mut self,
        survey: &mut Survey,
        held: &mut Vec<Descriptor>,
        scope: &Scope,
        short: &Namespaces,
    ) -> io::Result<bool> {
        let answers = ask::in_states(scope, &[scope.state], short);
        survey.coverage.complete.extend(answers.coverage.complete);
        survey.caveats.extend(answers.caveats);
        let place = |socket: &Listed| (socket.netns, socket.local, socket.remote);
        let mut known: HashMap<_, _> = (survey.listed.iter_mut())
            .map(|socket| (place(socket), socket))
            .collect();
        let mut missing = answers.listed;
        let subflows = &survey.subflows;
        missing.retain(|socket| {
            if let Some(known) = known.get_mut(&place(socket)) {
                known.sent_not_before_ns = socket.sent_not_before_ns;
                known.first_syn = socket.first_syn;
                return false;
            }
            socket.protocol != Protocol::Tcp || !subflows.has(socket)
        });
        if scope.state == TcpState::FinWait2 {
            survey.listed.extend(answers.remainders);
        }
        let mut unheld: HashSet<u64> = (missing.iter())
            .map(|socket| u64::from(socket.details.inode))
            .filter(|inode| *inode != 0)
            .collect();
        survey.listed.append(&mut missing);
        if unheld.is_empty() {
            return Ok(false);
        }
        // A descriptor that is passed on during a walk may be met nowhere; another walk finds it.
        let mut again = Survey::default();
        let (mut found, _, incomplete) = self.pass(&mut again, Some(&unheld))?;
        found.retain(|one| unheld.contains(&one.inode));
        let met = found.iter().chain(held.iter()).map(|one| one.inode);
        for inode in met {
            unheld.remove(&inode);
        }
        held.append(&mut found);
        if !unheld.is_empty() {
            held.extend(self.hidden_holders(&unheld));
        }
        Ok(incomplete)
    }
}

/// Whether the walk does not read what tells how long sockets have been in this state.
fn only_diag_tells_times(state: TcpState) -> bool {
    matches!(state, TcpState::SynSent | TcpState::FinWait2)
}

/// Whether the walk found all of the namespace's sockets that may be in the state, by the kernel's
/// counts. `before`: the count from before the walk.
fn is_complete(
    namespace: &Namespace,
    state: TcpState,
    walked: &States,
    before: io::Result<Counts>,
) -> bool {
    let all = open(walked);
    let Ok(before) = before else { return false };
    // Remainders have no descriptor.
    if state == TcpState::FinWait2 && before.time_wait > 0 {
        return false;
    }
    // Sockets come and go: what is missing is missing from both counts.
    if before.in_use <= all || count::of(namespace).is_ok_and(|after| after.in_use <= all) {
        return true;
    }
    // Connections that their process has closed have no descriptor, but they are not in these states.
    let open = [TcpState::Established, TcpState::CloseWait];
    let walked: u64 = (open.iter())
        .map(|state| walked[usize::from(state.number())])
        .sum();
    open.contains(&state)
        && count::counts_close_wait()
        && count::established(namespace).is_ok_and(|count| count <= walked)
}

/// All namespaces by `sock_diag`, and holders by `/proc`.
fn by_proc(proc: &mut ProcWalk, scope: &Scope, mut before: Before) -> Survey {
    proc.search.add_hidden_unwalked(scope, &mut before);
    let (namespaces, hidden) = (before.namespaces, &mut proc.hidden);
    let answers = ask::in_states(scope, &[scope.state], &namespaces);
    let mut survey = Survey {
        netns_names: namespaces.names,
        coverage: answers.coverage,
        caveats: answers.caveats,
        listed: answers.listed,
        listening: answers.listening,
        held: Some(Descriptors::default()),
        ..Survey::default()
    };
    if scope.state == TcpState::FinWait2 {
        survey.listed.extend(answers.remainders);
    }
    survey.caveats.push(Caveat::ResidueNotLookedFor);
    let waited_at = survey.listening.iter().filter(|one| one.queued > 0);
    survey.unread_queues = waited_at.count() as u64;
    survey.looked.namespaces = survey.coverage.complete.len();
    let stuck = survey.listed.iter().map(|socket| socket.details.inode);
    let listeners = survey.listening.iter().map(|listening| listening.inode);
    let inodes: HashSet<u64> = stuck.chain(listeners).map(u64::from).collect();
    if survey.listed.is_empty() {
        return survey;
    }
    match proc::find(&inodes) {
        Ok(mut found) => {
            let mut unheld: HashSet<u64> = (survey.listed.iter())
                .map(|socket| u64::from(socket.details.inode))
                .filter(|inode| *inode != 0)
                .collect();
            for one in &found.held {
                unheld.remove(&one.inode);
            }
            if !unheld.is_empty() {
                found.held.extend(hidden.find(&unheld));
            }
            if found.incomplete {
                survey.caveats.push(Caveat::UnreadDescriptors);
            }
            survey.held = Some(Descriptors::new(found.held));
        }
        Err(error) => {
            survey.held = None;
            (survey.caveats).push(Caveat::UnknownHolders(error.to_string()));
        }
    }
    survey
}

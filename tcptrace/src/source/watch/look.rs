//! The running machine as a source of looks.

use std::{
    collections::{HashMap, HashSet},
    io,
    panic::resume_unwind,
    thread,
    time::SystemTime,
};

use crate::{
    model::{
        caveat::Caveat,
        stuck::look::{Descriptor, Descriptors, Entered, Listed, Look, Tracing},
    },
    source::{
        bpf::socket,
        diag::ask::{self, Answers, Scope},
        error::StartError,
        machine::{
            cgroup::Cgroups,
            clock::monotonic_ns,
            netns::{self, Namespaces},
            privileges, process,
        },
        walk::iterator::Found,
        watch::{kernel_side::KernelSide, options::WatchOptions},
    },
};

/// The running machine.
pub struct Live {
    kernel: KernelSide,
    scope: Scope,
    cgroups: Cgroups,
    /// The counters when every namespace was last dumped; `None` before the first time.
    dumped_at: Option<Tracing>,
    useful_missing: Vec<&'static str>,
}

impl Live {
    /// Attaches the kernel side. Looks then see every later transition and the sockets from before.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &WatchOptions,
        scope: Scope,
        useful_missing: Vec<&'static str>,
    ) -> Result<Self, StartError> {
        Ok(Self {
            kernel: KernelSide::attach(options)?,
            scope,
            cgroups: Cgroups::default(),
            dumped_at: None,
            useful_missing,
        })
    }

    /// The kernel side.
    pub fn kernel(&mut self) -> &mut KernelSide {
        &mut self.kernel
    }

    /// Looks at the machine. `earlier`: the sockets that entered the state unseen, as the last look
    /// listed them.
    ///
    /// # Errors
    /// When the map or `/proc` cannot be read. An error that only concerns single sockets,
    /// processes or namespaces leaves these unknown.
    pub fn look<'a>(&mut self, earlier: impl Iterator<Item = &'a Listed>) -> io::Result<Look> {
        // Everything is read after this moment, so the look includes everything that is true at it.
        let (time, now_ns) = (SystemTime::now(), monotonic_ns());
        let tracing = self.kernel.tracing()?;
        // The map first: a socket that is in the map but then not listed has left the state.
        let mut entered = self.entered(&tracing)?;
        let mut younger = 0;
        let mut namespaces = Namespaces::default();
        let mut answers = Answers::default();
        let mut ahead = None;
        if self.must_dump(&tracing, &entered) {
            namespaces = netns::list()?;
            (answers, ahead) = self.dump(&namespaces);
            self.dumped_at = Some(tracing);
            // Sockets that entered between the two reads were also seen to enter.
            let now = self.kernel.tracing()?;
            entered = merge(entered, self.entered(&now)?);
            // The walk may have passed the descriptors of these before they entered.
            if entered_since(&tracing, &now) {
                ahead = None;
            }
        } else {
            let all = entered.len();
            entered.retain(|socket| {
                now_ns.saturating_sub(socket.since_ns) >= self.scope.older_than_ns
            });
            younger = all - entered.len();
            let mut earlier = earlier.peekable();
            if !entered.is_empty() || earlier.peek().is_some() {
                namespaces = netns::list()?;
                answers = ask::about(&self.scope, &namespaces, &entered, earlier);
            }
        }
        let mut look = Look {
            time,
            monotonic_ns: now_ns,
            entered,
            younger,
            listed: answers.listed,
            coverage: answers.coverage,
            listening: answers.listening,
            held: None,
            processes: HashMap::new(),
            cgroups: HashMap::new(),
            netns_names: namespaces.names,
            tracing: self.kernel.tracing()?,
            caveats: answers.caveats,
        };
        self.find_holders(&mut look, ahead);
        look.caveats
            .extend(privileges::caveat(&self.useful_missing));
        Ok(look)
    }

    fn entered(&self, tracing: &Tracing) -> io::Result<Vec<Entered>> {
        // Walking a million empty buckets takes 4 ms.
        if tracing.entered == tracing.left {
            return Ok(Vec::new());
        }
        let sockets = self.kernel.watched()?;
        Ok(sockets.iter().filter_map(socket::entered).collect())
    }

    /// A dump finds sockets that are not in the map: those from before the start, and those that
    /// did not fit. A socket without a port or namespace cannot be queried alone.
    fn must_dump(&self, tracing: &Tracing, entered: &[Entered]) -> bool {
        let Some(last) = &self.dumped_at else {
            return true;
        };
        unseen(last) != unseen(tracing)
            || entered
                .iter()
                .any(|socket| socket.netns.is_none() || socket.local.port == 0)
    }

    /// Dumps every namespace. If the kernel walks the descriptors, the walk runs at the same time,
    /// because both are long system calls.
    fn dump(&mut self, namespaces: &Namespaces) -> (Answers, Option<io::Result<Found>>) {
        let scope = &self.scope;
        let kernel = &mut self.kernel;
        thread::scope(|threads| {
            let dump = threads.spawn(|| ask::in_states(scope, &[scope.state], namespaces));
            let ahead = kernel.holders_ahead();
            let answers = dump.join();
            (answers.unwrap_or_else(|panic| resume_unwind(panic)), ahead)
        })
    }

    /// Fills in the holders of the listed sockets and of the listeners, and information about these
    /// processes.
    fn find_holders(&mut self, look: &mut Look, ahead: Option<io::Result<Found>>) {
        let stuck = look.listed.iter().map(|socket| socket.details.inode);
        let listeners = look.listening.iter().map(|listening| listening.inode);
        let inodes: HashSet<u64> = stuck.chain(listeners).map(u64::from).collect();
        if look.listed.is_empty() {
            look.held = Some(Descriptors::default());
            return;
        }
        let mptcp = look.listed.iter().any(|socket| socket.details.mptcp);
        let found = match ahead {
            Some(Ok(found)) if !mptcp && has_all(&found, look) => Ok(found),
            _ => self.kernel.holders(&inodes, mptcp),
        };
        match found {
            Ok(mut found) => {
                found.held.retain(|held| inodes.contains(&held.inode));
                if found.incomplete {
                    look.caveats.push(Caveat::UnreadDescriptors);
                }
                look.held = Some(Descriptors::new(found.held));
            }
            Err(error) => (look.caveats).push(Caveat::UnknownHolders(error.to_string())),
        }
        let held: &[Descriptor] = look.held.as_ref().map_or(&[], Descriptors::all);
        look.processes = process::infos(held.iter().map(|held| held.holder.pid));
        let ids = look
            .listed
            .iter()
            .filter_map(|socket| socket.details.cgroup_id);
        look.cgroups = self.cgroups.paths(ids);
    }
}

/// What changes when a socket enters the state and is not in the map.
fn unseen(tracing: &Tracing) -> (u64, Option<u64>) {
    (tracing.lost, tracing.recursion_misses)
}

/// Whether sockets may have entered the state between these.
fn entered_since(earlier: &Tracing, later: &Tracing) -> bool {
    earlier.entered != later.entered || unseen(earlier) != unseen(later)
}

/// Whether a descriptor was found of each listed socket that was ever accepted. One that was not
/// found may have entered the state behind the walk.
fn has_all(found: &Found, look: &Look) -> bool {
    let held: HashSet<u64> = found.held.iter().map(|held| held.inode).collect();
    let mut inodes = look.listed.iter().map(|socket| socket.details.inode);
    inodes.all(|inode| inode == 0 || held.contains(&u64::from(inode)))
}

/// Adds the sockets that only the later read has. Sockets that only the earlier read has either
/// have left, or a later check finds that they have.
fn merge(earlier: Vec<Entered>, later: Vec<Entered>) -> Vec<Entered> {
    let key = |socket: &Entered| (socket.since_ns, socket.cookie, socket.local, socket.remote);
    let had: HashSet<_> = earlier.iter().map(key).collect();
    let new = later
        .into_iter()
        .filter(|socket| !had.contains(&key(socket)));
    let mut merged: Vec<_> = new.collect();
    merged.splice(0..0, earlier);
    merged
}

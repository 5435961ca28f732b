//! The namespaces that sockets are in, whatever leads to them: most often a process does.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use crate::{
    model::caveat::Caveat,
    source::{
        diag::ask::Scope,
        machine::{
            clock::monotonic_ns,
            netns::{self, Namespace, Namespaces, inode_of, search},
        },
        walk::{
            count::{self, Counts},
            run::Counted,
        },
    },
};

/// How long a search that found nothing is not repeated: it looks at every thread and descriptor.
const VALID_NS: u64 = 10_000_000_000;

/// Adds the namespaces of the sockets that a walk has found. One that cannot be opened is left out.
fn add_by_sockets(namespaces: &mut Namespaces, counted: &HashMap<u32, Counted>) {
    for counted in counted.values() {
        let (inode, example) = (counted.netns, counted.example);
        if namespaces.paths.contains_key(&inode) {
            continue;
        }
        // A thread with a table of its own has no descriptor of its process.
        let tid = (example.tid != 0).then_some(example.tid);
        if let Ok(file) = search::of_socket(example.pid, tid, example.fd)
            && inode_of(&search::path_of(&file)).is_ok_and(|found| found == inode)
        {
            namespaces.add(inode, file);
        }
    }
}

/// Searching for namespaces to which no process and no socket leads.
#[derive(Debug, Default)]
pub struct Search {
    /// When the last one found nothing, in ns of `CLOCK_MONOTONIC`.
    in_vain_ns: Option<u64>,
}

impl Search {
    /// Adds what else leads to namespaces, if some are missing; with `sockets`, also every socket.
    fn add(&mut self, namespaces: &mut Namespaces, sockets: bool) {
        let now_ns = monotonic_ns();
        let is_recent = |then: u64| now_ns.saturating_sub(then) < VALID_NS;
        if self.in_vain_ns.is_some_and(is_recent) {
            return;
        }
        let known: HashSet<u32> = namespaces.paths.keys().copied().collect();
        let found = search::elsewhere(known, sockets);
        self.in_vain_ns = found.is_empty().then_some(now_ns);
        for one in found {
            namespaces.add(one.inode, one.file);
        }
    }
}

/// How often both are counted. Sockets come and go, so that once is not enough.
const SAMPLES: usize = 5;

/// Whether the machine has more sockets than these namespaces together; `closed`: how many sockets were
/// found that no namespace counts, because they are closed.
fn are_too_few(namespaces: &Namespaces, closed: u64) -> bool {
    let sample = |_| {
        let before = count::allocated();
        let in_use = |namespace| Some(count::of(&namespace).ok()?.in_use);
        let counted: Option<u64> = namespaces.all().map(in_use).sum();
        // Those that are made or end meanwhile are in both numbers, or in one.
        let all = before.max(count::allocated());
        counted.is_some_and(|counted| all > counted + closed)
    };
    let more = (0..SAMPLES).map(sample).filter(|more| *more).count();
    more > SAMPLES / 2
}

/// The network namespaces before a walk, and how many sockets the kernel counts in each.
pub struct Before {
    /// About how many sockets the machine has.
    allocated: u64,
    /// The namespaces to which processes and mounts lead.
    pub namespaces: Namespaces,
    /// What the kernel counts in those in scope.
    pub counts: Vec<(Namespace, io::Result<Counts>)>,
}

impl Before {
    /// Reads them.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn read(scope: &Scope) -> io::Result<Self> {
        let allocated = count::allocated();
        let namespaces = netns::list()?;
        let mut before = Self {
            allocated,
            counts: Vec::new(),
            namespaces,
        };
        before.count_all(|inode| scope.netns.is_none_or(|only| only == inode));
        Ok(before)
    }

    /// Counts in those namespaces.
    fn count_all(&mut self, wanted: impl Fn(u32) -> bool) {
        let all = self.namespaces.all().filter(|one| wanted(one.inode));
        self.counts.extend(all.map(|namespace| {
            let counts = count::of(&namespace);
            (namespace, counts)
        }));
    }

    /// Leaves namespaces out that may not be entered, except those that processes are in.
    fn leave_out_forbidden(&mut self, known: &HashSet<u32>) {
        let paths = &mut self.namespaces.paths;
        self.counts.retain(|(namespace, counts)| {
            let error = counts.as_ref().err().map(io::Error::kind);
            let forbidden = error == Some(io::ErrorKind::PermissionDenied);
            let stays = !forbidden || known.contains(&namespace.inode);
            if !stays {
                paths.remove(&namespace.inode);
            }
            stays
        });
    }

    /// Whether the machine may have more sockets than all of its namespaces. On a machine at rest the
    /// numbers are equal.
    fn may_lack_some(&self, closed: u64) -> bool {
        let in_use = self.counts.iter().map(|(_, counts)| counts.as_ref().ok());
        let known: Option<u64> = in_use.map(|counts| Some(counts?.in_use)).sum();
        known.is_some_and(|known| self.allocated != known + closed)
    }
}

impl Search {
    /// Adds the namespaces to which no process leads, as far as they are in scope; returns the caveat
    /// about those that cannot be entered.
    pub fn add_hidden(
        &mut self,
        scope: &Scope,
        before: &mut Before,
        counted: &HashMap<u32, Counted>,
    ) -> Option<Caveat> {
        let wanted = |inode: u32| scope.netns.is_none_or(|only| only == inode);
        let known: HashSet<u32> = before.namespaces.paths.keys().copied().collect();
        if scope.netns.is_some_and(|only| known.contains(&only)) {
            return None;
        }
        let missing = |namespaces: &Namespaces| {
            let all = counted.values();
            let missing = all.filter(|one| !namespaces.paths.contains_key(&one.netns));
            let sizes = missing.filter(|one| wanted(one.netns)).map(Counted::open);
            sizes.fold((0, 0), |(count, sum), size| (count + 1, sum + size))
        };
        let namespaces = &mut before.namespaces;
        if missing(namespaces).0 > 0 {
            add_by_sockets(namespaces, counted);
        }
        let closed = counted.values().map(Counted::closed).sum();
        let lacks_some = scope.netns.is_none() && before.may_lack_some(closed);
        let namespaces = &mut before.namespaces;
        let is_missing = |only| !namespaces.paths.contains_key(&only);
        if missing(namespaces).0 > 0
            || scope.netns.is_some_and(is_missing)
            || lacks_some && are_too_few(namespaces, closed)
        {
            self.add(namespaces, false);
        }
        before.count_all(|inode| wanted(inode) && !known.contains(&inode));
        before.leave_out_forbidden(&known);
        let (count, sockets) = missing(&before.namespaces);
        (count > 0).then_some(Caveat::UnenteredNamespaces { count, sockets })
    }

    /// The same without a walk, if there seem to be some in scope.
    pub fn add_hidden_unwalked(&mut self, scope: &Scope, before: &mut Before) {
        let lacks_some = scope.netns.is_none() && before.may_lack_some(0);
        let is_missing = |only| !before.namespaces.paths.contains_key(&only);
        if lacks_some || scope.netns.is_some_and(is_missing) {
            self.add(&mut before.namespaces, true);
        }
    }
}

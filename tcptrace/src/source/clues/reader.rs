//! All that is asked, in one go, within bounds.

use std::{cmp::Reverse, collections::BTreeSet, os::fd::AsFd as _, path::PathBuf, sync::Arc};

use super::{
    connections::{Connections, Open},
    descriptors, file, flags,
    keepalive::Keepalive,
    pass::Missed,
    places::Places,
    tables::Tables,
    throttled::Groups,
    waits,
};
use crate::{
    model::cause::{Asked, Clues, DescriptorUse, ProcessClues},
    source::{
        diag::sock_diag,
        machine::{netns, process, threads},
    },
};

/// So many processes are looked at: those with the most sockets.
const PROCESSES: usize = 64;
/// So many descriptors are looked at, which takes the kernel some 5 µs each.
const DESCRIPTORS: u64 = 100_000;
/// So many threads, some 20 µs each.
const THREADS: usize = 1024;

/// Reads clues; kept through a session, because not all is read anew at each look.
#[derive(Debug, Default)]
pub struct ClueReader {
    tables: Tables,
    connections: Connections,
    keepalive: Keepalive,
    places: Places,
    /// The kernel's number of the filesystem of sockets, which stays the same; `None` also before the first look.
    device: Option<u32>,
}

/// A process that is asked about.
struct Process<'a> {
    pid: u32,
    /// Where `/proc` tells about it.
    folder: PathBuf,
    /// Its network namespace, and what leads to it.
    netns: Option<(u32, PathBuf)>,
    /// Its sockets, by inode and descriptor.
    sockets: &'a [(u32, u32)],
}

impl<'a> Process<'a> {
    fn new(pid: u32, sockets: &'a [(u32, u32)]) -> Self {
        let folder = threads::folder(&process::folder(pid));
        Self {
            netns: netns::of_process(&folder).ok(),
            pid,
            folder,
            sockets,
        }
    }
}

impl ClueReader {
    /// Reads what is asked, as far as it can be read. A process that is gone, or of which nothing can be read, is
    /// missing.
    pub fn read(&mut self, asked: &Asked) -> Clues {
        let mut clues = Clues::default();
        let chosen = chosen(asked);
        clues.cut_short = chosen.len() < asked.processes.len();
        let chosen = chosen.into_iter();
        let processes: Vec<_> = chosen.map(|(pid, all)| Process::new(pid, all)).collect();
        self.device = self.device.or_else(|| sock_diag::device().ok());
        self.tables.begin();
        let open = self.of_namespaces(asked, &processes, &mut clues);
        let (mut left, mut threads) = (DESCRIPTORS, THREADS);
        let mut groups = Groups::default();
        for process in &processes {
            let open = open
                .as_deref()
                .filter(|_| asked.upstreams_of.contains(&process.pid));
            let table = self.of_table(process, open, &mut left);
            let mut found = table.unwrap_or_else(|missed| {
                clues.cut_short |= missed == Missed::TooMany;
                of_files(process, None)
            });
            found.throttled = groups.of(process.pid);
            if asked.upstreams_of.contains(&process.pid) {
                found.waits = waits::of(process.pid, &process.folder, &mut threads);
                clues.cut_short |= threads == 0;
            }
            if found != ProcessClues::default() {
                clues.processes.insert(process.pid, found);
            }
        }
        clues
    }

    /// Notes the settings of the namespaces; returns the open connections in them, if these matter.
    fn of_namespaces(
        &mut self,
        asked: &Asked,
        processes: &[Process<'_>],
        clues: &mut Clues,
    ) -> Option<Arc<Open>> {
        let wanted: BTreeSet<u32> = asked.namespaces.iter().copied().collect();
        let (due, more) = self.keepalive.due(&wanted);
        let upstreams = !asked.upstreams_of.is_empty();
        let (to_dump, more_to_dump) = match upstreams {
            true => self.connections.due(&wanted),
            false => Default::default(),
        };
        clues.cut_short |= more || more_to_dump;
        let near = processes.iter().filter_map(|process| process.netns.clone());
        let paths = self.places.of(&(&due | &to_dump), near);
        self.keepalive.ask(due, &paths);
        clues.keepalive = self.keepalive.of(&wanted);
        upstreams.then(|| self.connections.read(&to_dump, &paths))
    }

    /// What the descriptors of a process tell.
    fn of_table(
        &mut self,
        process: &Process<'_>,
        open: Option<&Open>,
        left: &mut u64,
    ) -> Result<ProcessClues, Missed> {
        let place = (process.pid, process.folder.as_path());
        let table = (self.tables).of(place, process.sockets, left, self.device)?;
        let upstreams = || {
            let (netns, _) = process.netns.as_ref()?;
            open?.of_process(*netns, &table.pass)
        };
        Ok(ProcessClues {
            interest: table.interest(process.sockets),
            upstreams: upstreams(),
            ..of_files(process, Some(table.pass.open))
        })
    }
}

/// The processes that are looked at, those with the most sockets first.
fn chosen(asked: &Asked) -> Vec<(u32, &[(u32, u32)])> {
    let all = asked.processes.iter();
    let mut all: Vec<_> = all.map(|(pid, sockets)| (*pid, &sockets[..])).collect();
    all.sort_unstable_by_key(|(pid, sockets)| (Reverse(sockets.len()), *pid));
    all.truncate(PROCESSES);
    all
}

/// What `/proc` tells of a process without a look at each of its descriptors, which were `counted` where that was done.
fn of_files(process: &Process<'_>, counted: Option<u64>) -> ProcessClues {
    let open = descriptors::open(&process.folder).or(counted);
    let limit = descriptors::limit(&process.folder);
    let mut found = ProcessClues {
        descriptors: (open.zip(limit)).map(|(open, limit)| DescriptorUse { open, limit }),
        ..ProcessClues::default()
    };
    if let Ok(info) = file::folder(&process.folder.join("fdinfo")) {
        found.close_on_exec = flags::close_on_exec(info.as_fd(), process.sockets);
    }
    found
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;

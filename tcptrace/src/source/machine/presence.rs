//! Whether this machine has what a filter names: processes, a network namespace, a control group.
//!
//! Everything here is slow on a large machine. It is only asked about values that no socket has.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use procfs::process::Process;

use crate::{
    model::filter::{
        Filter,
        absent::{Absent, Values, Whole},
        unmatched::Unmatched,
    },
    source::machine::{
        cgroup,
        netns::{self, search},
        pid_namespace,
        threads::numbered,
    },
};

/// A search is not repeated before this many times as long as it took have passed: in a session it takes
/// at most two hundredths of the time.
const REST: u32 = 50;

/// What a filter names and nothing has had so far.
#[derive(Debug)]
pub struct Presence {
    /// Take out what is seen elsewhere before asking.
    pub unmatched: Unmatched,
    /// Names of processes that are like the wanted ones: not yet fit for a terminal.
    pub alike: BTreeSet<String>,
    /// The last answer, and when to search again.
    last: Option<(Instant, Vec<Absent>)>,
}

impl Presence {
    /// Nothing is found yet.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        Self {
            unmatched: Unmatched::new(filter),
            alike: BTreeSet::new(),
            last: None,
        }
    }

    /// The values that nothing on this machine has. What has been found once is not asked about again.
    pub fn absent(&mut self) -> Vec<Absent> {
        if self.unmatched.is_empty() {
            return Vec::new();
        }
        let began = Instant::now();
        let absent = match self.last.take() {
            Some((again, last)) if began < again => {
                let still = |absent: Absent| self.unmatched.still(absent);
                self.last = Some((again, last.into_iter().filter_map(still).collect()));
                return self.last.iter().flat_map(|last| last.1.clone()).collect();
            }
            _ => self.search(),
        };
        let rest: Duration = began.elapsed().saturating_mul(REST);
        self.last = Some((Instant::now() + rest, absent.clone()));
        absent
    }

    fn search(&mut self) -> Vec<Absent> {
        // A number is one of this PID namespace; a name may also be that of a process outside of it.
        let processes = match hides_processes() {
            false => Whole::Machine,
            true => Whole::Visible,
        };
        let mut named = match pid_namespace::nested() {
            None => processes,
            Some(_) => Whole::Visible,
        };
        let unmatched = &mut self.unmatched;
        unmatched.pids.retain(|pid| !is_process(*pid));
        if !unmatched.comms.is_empty() && !find_names(unmatched, &mut self.alike) {
            named = Whole::Visible;
        }
        let mut namespaces = Whole::Machine;
        if let Some(inode) = unmatched.netns {
            match is_there(inode) {
                None => namespaces = Whole::Visible,
                Some(there) => unmatched.netns = Some(inode).filter(|_| !there),
            }
        }
        let is_group = |path: &String| cgroup::exists(path);
        unmatched.cgroup = unmatched.cgroup.take().filter(|path| !is_group(path));
        let mut absent = unmatched.absent(Whole::Machine);
        for one in &mut absent {
            match &mut one.values {
                Values::Processes(pids) => {
                    one.whole = processes;
                    for (pid, process) in pids {
                        *process = process_of(*pid);
                    }
                }
                Values::Names(_) => one.whole = named,
                Values::Netns(_) => one.whole = namespaces,
                Values::Cgroup(_) => one.whole = groups(),
            }
        }
        absent
    }
}

/// Where a control group that is not found is missing.
#[must_use]
pub fn groups() -> Whole {
    match cgroup::sees_all() {
        true => Whole::Machine,
        false => Whole::Visible,
    }
}

/// Whether there may be a process with this number: what cannot be looked at counts as one, and so does a
/// zombie. A thread that is not the first one of its process is none.
fn is_process(pid: u32) -> bool {
    let folder = Path::new("/proc").join(pid.to_string());
    let metadata = fs::metadata(folder);
    !metadata.is_err_and(|error| is_gone(&error)) && process_of(pid).is_none()
}

/// The process of which this is another thread than the first one.
fn process_of(tid: u32) -> Option<u32> {
    let status = Process::new(tid.cast_signed()).ok()?.status().ok()?;
    let process = status.tgid.cast_unsigned();
    (process != tid).then_some(process)
}

/// Takes the names that processes or threads have out of the unmatched ones, and adds what is like one of
/// them. Returns whether all processes could be looked at.
fn find_names(unmatched: &mut Unmatched, alike: &mut BTreeSet<String>) -> bool {
    let mut all = true;
    let Ok(processes) = numbered(Path::new("/proc")) else {
        return false;
    };
    let processes: Vec<PathBuf> = processes.collect();
    for process in &processes {
        match comm(process) {
            Ok(comm) => {
                unmatched.comms.retain(|wanted| !fits(&comm, wanted));
                if unmatched.comms.iter().any(|wanted| is_like(&comm, wanted)) {
                    alike.insert(comm);
                }
            }
            Err(error) => all &= is_gone(&error),
        }
        if unmatched.comms.is_empty() {
            return all;
        }
    }
    // Where the kernel has no type information, a log takes the name of a thread.
    for process in &processes {
        let threads = numbered(&process.join("task"));
        for comm in threads.into_iter().flatten().flat_map(|path| comm(&path)) {
            unmatched.comms.retain(|wanted| !fits(&comm, wanted));
        }
        if unmatched.comms.is_empty() {
            break;
        }
    }
    all
}

/// The name of a process or thread, read as the walk reads it: bytes that are not UTF-8 are replaced.
fn comm(folder: &Path) -> io::Result<String> {
    let bytes = fs::read(folder.join("comm"))?;
    let name = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Whether the name in `/proc` is the wanted one. To the name of a kernel worker `/proc` adds what it does
/// (`wq_worker_comm`, `kernel/workqueue.c`).
fn fits(comm: &str, wanted: &str) -> bool {
    comm == wanted || (comm.starts_with("kworker/") && comm.starts_with(wanted))
}

/// Whether one of the names contains the other, in upper or lower case.
fn is_like(comm: &str, wanted: &str) -> bool {
    let (comm, wanted) = (comm.to_lowercase(), wanted.to_lowercase());
    let contains = |name: &str, part: &str| part.len() > 2 && name.contains(part);
    contains(&comm, &wanted) || contains(&wanted, &comm)
}

/// Whether a process, a descriptor or a mount leads to the namespace; `None` if not everything could be
/// looked at, and nothing that could.
fn is_there(inode: u32) -> Option<bool> {
    let namespaces = netns::list().ok()?;
    if namespaces.paths.contains_key(&inode) {
        return Some(true);
    }
    let known = namespaces.paths.keys().copied().collect();
    let found = search::elsewhere(known, true);
    if found.iter().any(|found| found.inode == inode) {
        return Some(true);
    }
    let saw_all =
        namespaces.refused.is_empty() && pid_namespace::nested().is_none() && !hides_processes();
    saw_all.then_some(false)
}

/// Whether `/proc` may leave processes out (`hidepid`): also where it does so for others only, because
/// whom it exempts depends on groups and capabilities.
fn hides_processes() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    mounts.is_ok_and(|text| text.lines().any(hides))
}

/// Whether a line of `mountinfo` is that of a `/proc` with `hidepid` (`fs/proc/root.c`).
fn hides(line: &str) -> bool {
    let Some((mount, options)) = line.split_once(" - proc ") else {
        return false;
    };
    let options = options.rsplit(' ').next().unwrap_or_default();
    let hides = |option: &str| {
        let how = option.strip_prefix("hidepid=");
        how.is_some_and(|how| !["0", "off"].contains(&how))
    };
    mount.split(' ').nth(4) == Some("/proc") && options.split(',').any(hides)
}

/// The process or thread has ended.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proc_that_hides_processes_is_known_by_its_options() {
        let line = |at: &str, options: &str| {
            format!("22 26 0:21 / {at} rw,nosuid shared:12 - proc proc {options}")
        };
        for hiding in ["rw,hidepid=2", "rw,hidepid=invisible,gid=5", "hidepid=1"] {
            assert!(hides(&line("/proc", hiding)), "{hiding}");
        }
        for open in ["rw", "rw,hidepid=0", "rw,hidepid=off"] {
            assert!(!hides(&line("/proc", open)), "{open}");
        }
        assert!(!hides(&line("/srv/proc", "hidepid=2")));
    }

    #[test]
    fn a_workers_name_is_found_without_what_it_does() {
        assert!(fits("kworker/0:1-events", "kworker/0:1"));
        assert!(fits("java", "java") && !fits("javac", "java"));
    }

    #[test]
    fn names_are_alike_where_one_contains_the_other() {
        assert!(is_like("Java", "java") && is_like("nginx", "nginx-worker"));
        assert!(!is_like("java", "perl") && !is_like("sh", "dash"));
    }

    #[test]
    fn what_runs_is_there_and_what_does_not_is_not() {
        let own = std::process::id();
        let filter = Filter {
            pids: vec![own, 4_194_303],
            netns: netns::own().ok(),
            ..Filter::default()
        };
        let mut presence = Presence::new(&filter);
        let absent = presence.absent();
        assert_eq!(absent.len(), 1, "{absent:?}");
        assert_eq!(absent[0].values, Values::Processes(vec![(4_194_303, None)]));
        assert_eq!(presence.unmatched.pids, [4_194_303]);
    }
}

//! The arguments of processes, from `/proc/PID/cmdline`.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use crate::source::machine::threads::instead_of_first;

/// How much of them is read.
const BYTES: u64 = 4096;
/// How long all processes of a look are waited for. The kernel makes a reader wait for a process whose
/// memory map is locked (`mmap_read_lock_killable`), without an end.
const PATIENCE: Duration = Duration::from_millis(100);

/// A process: its id, and when it started, in clock ticks after boot.
type Process = (u32, u64);

/// The arguments of the processes of earlier looks.
#[derive(Debug, Default)]
pub struct Arguments {
    /// Empty while they are not known.
    known: HashMap<Process, Vec<String>>,
    /// What is still being read.
    late: Vec<Receiver<(Process, Vec<String>)>>,
}

impl Arguments {
    /// Those of the process; empty if they are not known.
    #[must_use]
    pub fn of(&self, process: Process) -> &[String] {
        self.known.get(&process).map_or(&[], Vec::as_slice)
    }

    /// Reads those of the processes that are not known yet, and forgets all others.
    pub fn read(&mut self, processes: &HashSet<Process>) {
        self.known.retain(|process, _| processes.contains(process));
        let new: Vec<Process> = (processes.iter().copied())
            .filter(|process| !self.known.contains_key(process))
            .collect();
        if !new.is_empty() {
            self.known
                .extend(new.iter().map(|process| (*process, Vec::new())));
            let (sender, receiver) = channel();
            // A thread that waits for ever ends with this process.
            thread::spawn(move || {
                for process in new {
                    if sender.send((process, arguments(process.0))).is_err() {
                        break;
                    }
                }
            });
            self.late.push(receiver);
        }
        let deadline = Instant::now() + PATIENCE;
        let known = &mut self.known;
        self.late.retain(|receiver| {
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match receiver.recv_timeout(left) {
                    Ok((process, arguments)) => {
                        // One that has ended meanwhile is not wanted any more.
                        known.entry(process).and_modify(|known| *known = arguments);
                    }
                    Err(error) => return error == std::sync::mpsc::RecvTimeoutError::Timeout,
                }
            }
        });
    }
}

fn arguments(pid: u32) -> Vec<String> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let mut bytes = read(&folder);
    if let Some(thread) = (bytes.is_empty().then(|| instead_of_first(&folder))).flatten() {
        bytes = read(&thread);
    }
    let text = String::from_utf8_lossy(&bytes);
    let all = text.trim_end_matches('\0').split('\0');
    all.filter(|one| !one.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// Nothing if it cannot be read.
fn read(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = File::open(folder.join("cmdline"));
    match file.and_then(|file| file.take(BYTES).read_to_end(&mut bytes)) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_arguments() {
        let mut read = Arguments::default();
        let this = (std::process::id(), 7);
        let start = Instant::now();
        // The thread that reads may come late on a busy machine.
        while read.of(this).is_empty() && start.elapsed() < Duration::from_secs(30) {
            read.read(&[this].into());
        }
        assert_eq!(read.of(this), std::env::args().collect::<Vec<_>>());
        let nobody = (u32::MAX, 7);
        read.read(&[nobody].into());
        assert!(read.of(nobody).is_empty() && read.of(this).is_empty());
    }
}

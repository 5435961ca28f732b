//! What would tell more, with commands to copy.

use crate::model::{
    cause::WouldTell,
    stuck::{group::Group, snapshot::Snapshot},
};

/// Of how many processes that may be meant there is a command each.
const EACH: usize = 2;

/// What to find out, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Tell {
    /// What it would tell.
    pub what: &'static str,
    /// The commands for it; none if there is none, or if no process is known.
    pub commands: Vec<String>,
}

impl Tell {
    /// That of a group.
    pub fn of(would_tell: WouldTell, group: &Group, snapshot: &Snapshot) -> Self {
        let pids = pids(group);
        let filter = match &pids[..] {
            [] => String::new(),
            pids => {
                let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
                format!(" --pid {}", pids.join(","))
            }
        };
        let tcptrace = |before: &str, after: &str| vec![format!("tcptrace{before}{filter}{after}")];
        let (what, commands) = match would_tell {
            WouldTell::Session => (
                "whether any leaves and whether anything is read",
                tcptrace("", " --duration 2m"),
            ),
            WouldTell::NextUse => (
                "whether any leaves at its next use",
                tcptrace("", " --duration 10m"),
            ),
            WouldTell::LongerSession => ("whether it grows", tcptrace("", " --duration 10m")),
            WouldTell::ThreadDump => (
                "what its threads wait for",
                (pids.iter().take(EACH))
                    .map(|pid| threads(*pid, group, snapshot))
                    .collect(),
            ),
            WouldTell::Log => ("when each was opened and used", tcptrace(" log", "")),
            WouldTell::HttpStatus => (
                "which HTTP status the last answers had: those that are stuck, and those that were closed",
                Vec::new(),
            ),
            WouldTell::Privileges => (
                "what could not be read, as root of the machine",
                vec![format!("sudo tcptrace --explain{filter}")],
            ),
            WouldTell::Look => (
                "what a recording does not carry, on the machine itself",
                tcptrace(" --explain", ""),
            ),
        };
        Self { what, commands }
    }

    /// In one line.
    pub fn line(&self) -> String {
        match &self.commands[..] {
            [] => self.what.to_owned(),
            commands => format!("{}: {}", self.what, commands.join("; ")),
        }
    }
}

/// The process, or each that may be meant.
fn pids(group: &Group) -> Vec<u32> {
    let all = group.owner.iter().chain(&group.candidates);
    all.map(|one| one.pid).collect()
}

/// How to see what the threads of a process wait for.
fn threads(pid: u32, group: &Group, snapshot: &Snapshot) -> String {
    let mut known_as = group.owner.iter().chain(&group.candidates);
    let comm = known_as
        .find(|one| one.pid == pid)
        .map(|one| one.comm.as_str());
    let process = snapshot.processes.get(&pid);
    let program = process.and_then(|process| process.arguments.first());
    let program = program.map(|path| path.rsplit('/').next().unwrap_or_default());
    let runs = |name: &str| {
        [comm, program]
            .into_iter()
            .flatten()
            .any(|one| one.starts_with(name))
    };
    if runs("java") {
        format!("jcmd {pid} Thread.print")
    } else if runs("python") {
        format!("py-spy dump --pid {pid}")
    } else {
        format!("cat /proc/{pid}/task/*/wchan")
    }
}

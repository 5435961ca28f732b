//! What each command keeps of its privileges after its start, and what of the rest is really given up.

use crate::model::names::names;

/// A capability that a command has a use for after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
    /// `CAP_SYS_ADMIN`.
    SysAdmin,
    /// `CAP_SYS_PTRACE`.
    SysPtrace,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
    /// `CAP_DAC_READ_SEARCH`.
    DacReadSearch,
    /// `CAP_DAC_OVERRIDE`.
    DacOverride,
}

names!(Capability {
    Bpf => "CAP_BPF",
    Perfmon => "CAP_PERFMON",
    SysAdmin => "CAP_SYS_ADMIN",
    SysPtrace => "CAP_SYS_PTRACE",
    NetAdmin => "CAP_NET_ADMIN",
    DacReadSearch => "CAP_DAC_READ_SEARCH",
    DacOverride => "CAP_DAC_OVERRIDE",
});

impl Capability {
    /// What a command still needs it for, after its start.
    #[must_use]
    pub const fn needed_for(self) -> &'static str {
        match self {
            Self::Bpf => {
                "reading its maps, and programs that it loads only when they are needed: for accept queues, \
                 for messages of Unix sockets, beside a program that the kernel skips"
            }
            Self::Perfmon => "the same programs: they read kernel memory",
            Self::SysAdmin => {
                "entering the network namespaces of others, also those that appear later"
            }
            Self::SysPtrace => {
                "descriptors, namespaces and mappings of other users' processes, at each look"
            }
            Self::NetAdmin => "all details that sock_diag tells of a socket",
            Self::DacReadSearch => {
                "folders of `/proc` that belong to other users, and the machine's root of control groups"
            }
            Self::DacOverride => {
                "opening a log's file anew, where its folder is somebody else's; kept only then, by the thread that writes"
            }
        }
    }
}

/// What a command may still open after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: it reads and writes what is open.
    Opened,
    /// What it reads of the machine, and nothing for writing.
    Machine,
    /// Also files that it writes.
    Files,
}

impl Reach {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Opened => "nothing",
            Self::Machine => "files for reading",
            Self::Files => "files for reading and writing",
        }
    }
}

/// A command, as far as it makes a difference for what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// `stuck`, also `--once`.
    Stuck,
    /// `states`, also `--once`.
    States,
    /// `hist`.
    Hist,
    /// `log` on the screen.
    Log,
    /// `log` with `-o` or `--dir`.
    LogToFiles,
    /// `doctor`, once it has examined the machine.
    Doctor,
    /// `replay`, once its file is open.
    Replay,
}

names!(Work {
    Stuck => "stuck",
    States => "states",
    Hist => "hist",
    Log => "log",
    LogToFiles => "log -o, --dir",
    Doctor => "doctor",
    Replay => "replay",
});

/// What whoever looks at the machine keeps.
const LOOKING: &[Capability] = &[
    Capability::Bpf,
    Capability::Perfmon,
    Capability::SysAdmin,
    Capability::SysPtrace,
    Capability::NetAdmin,
    Capability::DacReadSearch,
];
/// What the thread keeps that writes a log, where somebody else owns the file or the folder: all other threads are
/// without it.
pub const WRITER: &[Capability] = &[Capability::DacOverride];

impl Work {
    /// The one list of what each command keeps. `SECURITY.md` has the same, and live tests hold it against
    /// what a running command has.
    #[must_use]
    pub const fn keeps(self) -> (&'static [Capability], Reach) {
        match self {
            Self::Stuck | Self::States | Self::Hist | Self::Log => (LOOKING, Reach::Machine),
            Self::LogToFiles => (LOOKING, Reach::Files),
            Self::Doctor | Self::Replay => (&[], Reach::Opened),
        }
    }
}

/// What a running command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// These stay, as far as the process has them.
    pub capabilities: Vec<Capability>,
    /// What it may open.
    pub reach: Reach,
}

impl Needs {
    /// Those of a command.
    #[must_use]
    pub fn of(work: Work) -> Self {
        let (capabilities, reach) = work.keeps();
        Self {
            capabilities: capabilities.to_vec(),
            reach,
        }
    }
}

/// What holds. An error is what the kernel said: then the rest holds all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// The capabilities that stay.
    pub capabilities: Result<Vec<Capability>, String>,
    /// Whether no program can give it new ones.
    pub no_new_privs: Result<(), String>,
    /// Whether all but a list of system calls are refused, to every thread.
    pub seccomp: Result<(), String>,
    /// Whether Landlock refuses all files and connections; `None` if it was not asked to. A process under it
    /// may not look into others, so those that do go without.
    pub landlock: Option<Result<Landlock, String>>,
}

/// How much of what was asked of Landlock this kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// All.
    Whole,
    /// A part: newer kernels refuse more.
    Part,
}

impl Confinement {
    /// Whether all that was asked for holds.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.capabilities.is_ok()
            && self.no_new_privs.is_ok()
            && self.seccomp.is_ok()
            && self.landlock.as_ref().is_none_or(Result::is_ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SECURITY.md` has both tables as they are here.
    #[test]
    fn the_documentation_has_the_same_lists() {
        let text = include_str!("../../../SECURITY.md");
        let has = |row: &str| assert!(text.contains(row), "not in SECURITY.md: {row}");
        for work in Work::ALL {
            let (capabilities, reach) = work.keeps();
            let names: Vec<_> = capabilities
                .iter()
                .map(|one| format!("`{}`", one.name()))
                .collect();
            let names = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            has(&format!(
                "| `{}` | {names} | {} |\n",
                work.name().replace(", ", "`, `"),
                reach.text()
            ));
        }
        for capability in Capability::ALL {
            has(&format!(
                "| `{}` | {} |\n",
                capability.name(),
                capability.needed_for()
            ));
        }
    }
}

//! The ways to learn who accepts a connection; each is tried.

use aya::{
    Ebpf,
    programs::{FExit, ProgramError, TracePoint},
};

use crate::source::bpf::{
    load::{ACCEPT_FUNCTION, AcceptChoice, TypeInfo, program},
    tracefs,
};

/// A way to learn who accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// The return of the kernel's function.
    Fexit,
    /// The return of the system calls.
    Syscall,
    /// None: a connection counts as its listener's.
    Listener,
}

impl Accept {
    /// Those to try, the best first.
    #[must_use]
    pub fn candidates(choice: AcceptChoice) -> &'static [Self] {
        match choice {
            AcceptChoice::Auto => &[Self::Fexit, Self::Syscall, Self::Listener],
            AcceptChoice::Fexit => &[Self::Fexit],
            AcceptChoice::Syscall => &[Self::Syscall],
            AcceptChoice::Listener => &[Self::Listener],
        }
    }

    /// How it is called, in reports and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fexit => "fexit",
            Self::Syscall => "syscall",
            Self::Listener => "listener",
        }
    }

    /// Loads and attaches what it takes. Trampolines may load and then not attach (arm64 up to
    /// 6.1), hence both are tried.
    ///
    /// # Errors
    /// When the kernel refuses, or something is missing that it needs.
    pub fn attach(
        self,
        ebpf: &mut Ebpf,
        types: Option<&TypeInfo>,
        preallocated: bool,
    ) -> Result<(), ProgramError> {
        match (self, types) {
            (Self::Listener, _) => Ok(()),
            (_, None) => Err(missing("no type information")),
            (Self::Fexit, Some(types)) => fexit(ebpf, types),
            (Self::Syscall, Some(types)) if types.has_task_offsets => {
                tracefs::with(|| syscalls(ebpf, preallocated))
            }
            (Self::Syscall, Some(_)) => Err(missing("no members on the way to descriptors")),
        }
    }
}

fn missing(what: &'static str) -> ProgramError {
    ProgramError::IOError(std::io::Error::other(what))
}

fn fexit(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    let name = match types.accept_parameters {
        Some(4) => "accept_of_four",
        Some(2) => "accept_of_two",
        _ => {
            return Err(missing(
                "inet_csk_accept is not what it was up to Linux 7.3",
            ));
        }
    };
    let program: &mut FExit = program(ebpf, name)?.try_into()?;
    program.load(ACCEPT_FUNCTION, &types.aya)?;
    program.attach().map(drop)
}

fn syscalls(ebpf: &mut Ebpf, preallocated: bool) -> Result<(), ProgramError> {
    let name = if preallocated {
        "accept_syscall_preallocated"
    } else {
        "accept_syscall"
    };
    let program: &mut TracePoint = program(ebpf, name)?.try_into()?;
    program.load()?;
    program.attach("syscalls", "sys_exit_accept")?;
    program.attach("syscalls", "sys_exit_accept4").map(drop)
}

//! The ways to detect who accepts a connection: loading and attaching what each needs.

use aya::{
    Ebpf,
    programs::{FExit, ProgramError},
};
use tcptrace_common::Settings;

use crate::source::{
    bpf::{
        attach::Accept,
        load,
        program::{find, load_classic},
        tracefs,
        types::{ACCEPT_FUNCTION, TypeInfo},
    },
    error::refusal,
};

/// Loads and attaches what it needs. A trampoline may load and then fail to attach (arm64 up to
/// 6.1), so both are tried.
///
/// # Errors
/// When the kernel refuses, or something is missing that it needs.
pub fn attach(
    accept: Accept,
    ebpf: &mut Ebpf,
    types: Option<&TypeInfo>,
    preallocated: bool,
) -> Result<(), ProgramError> {
    match (accept, types) {
        (Accept::Listener, _) => Ok(()),
        (_, None) => Err(missing("no type information")),
        (Accept::Fexit, Some(types)) => fexit(ebpf, types),
        (Accept::Syscall, Some(types)) if types.has_task_offsets => {
            tracefs::with(|| syscalls(ebpf, preallocated))
        }
        (Accept::Syscall, Some(_)) => Err(missing("no members that lead to descriptors")),
    }
}

/// Whether a way to detect accepts works on this machine.
///
/// # Errors
/// Says why not.
pub fn accept_works(accept: Accept, types: Option<&TypeInfo>) -> Result<(), String> {
    let settings = types.map_or_else(Settings::default, |types| types.settings);
    let object = load::object(settings, types, &[], false);
    let mut ebpf = object.map_err(|error| error.to_string())?;
    let preallocated = types.is_some_and(|types| !types.grows_anywhere);
    attach(accept, &mut ebpf, types, preallocated).map_err(|error| refusal(&error))
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
                "inet_csk_accept has other parameters than up to Linux 7.3",
            ));
        }
    };
    let program: &mut FExit = find(ebpf, name)?.try_into()?;
    program.load(ACCEPT_FUNCTION, &types.aya)?;
    program.attach().map(drop)
}

fn syscalls(ebpf: &mut Ebpf, preallocated: bool) -> Result<(), ProgramError> {
    let name = if preallocated {
        "accept_syscall_preallocated"
    } else {
        "accept_syscall"
    };
    let program = load_classic(ebpf, name)?;
    program.attach("syscalls", "sys_exit_accept")?;
    program.attach("syscalls", "sys_exit_accept4").map(drop)
}

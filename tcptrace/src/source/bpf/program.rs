//! The programs of the object, one by one: loading, attaching, running, and the kernel's answers.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf,
    programs::{BtfTracePoint, Iter, Program, ProgramError, ProgramFd, TracePoint},
};

use crate::source::{
    bpf::types::TypeInfo,
    error::{StartError, errno, refusal},
    machine::restrictions,
};

/// The tracepoint at which sockets change their state: `sock:inet_sock_set_state`.
pub const TRACEPOINT: &str = "inet_sock_set_state";
/// Its category.
pub const CATEGORY: &str = "sock";

/// The program of this name.
///
/// # Errors
/// Never for the object of this build, which has every program.
pub fn find<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)
}

/// Loads a program for typed arguments, to be attached.
///
/// # Errors
/// When the kernel refuses.
pub fn load_btf<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
    tracepoint: &str,
    types: &TypeInfo,
) -> Result<&'a mut BtfTracePoint, ProgramError> {
    let program: &mut BtfTracePoint = find(ebpf, name)?.try_into()?;
    program.load(tracepoint, &types.aya)?;
    Ok(program)
}

/// Loads and attaches a program for typed arguments.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_btf(
    ebpf: &mut Ebpf,
    name: &str,
    tracepoint: &str,
    types: &TypeInfo,
) -> Result<(), ProgramError> {
    load_btf(ebpf, name, tracepoint, types)?.attach().map(drop)
}

/// Loads a program for a classic tracepoint, to be attached.
///
/// # Errors
/// When the kernel refuses.
pub fn load_classic<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut TracePoint, ProgramError> {
    let program: &mut TracePoint = find(ebpf, name)?.try_into()?;
    program.load()?;
    Ok(program)
}

/// Loads and attaches a program for a classic tracepoint, `category:event`.
///
/// # Errors
/// When the kernel refuses, or tracefs is not accessible.
pub fn attach_classic(
    ebpf: &mut Ebpf,
    name: &str,
    category: &str,
    event: &str,
) -> Result<(), ProgramError> {
    load_classic(ebpf, name)?.attach(category, event).map(drop)
}

/// Loads an iterator over the kernel's `kind`, such as `task_file`.
///
/// # Errors
/// When the kernel refuses.
pub fn load_iterator<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
    kind: &str,
    types: &TypeInfo,
) -> Result<&'a mut Iter, ProgramError> {
    let program: &mut Iter = find(ebpf, name)?.try_into()?;
    program.load(kind, &types.aya)?;
    Ok(program)
}

/// Attaches an iterator. Reading the result makes it run once.
///
/// # Errors
/// When the kernel refuses.
pub fn open_iterator(ebpf: &mut Ebpf, name: &str) -> io::Result<File> {
    let program = ebpf.program_mut(name).ok_or(io::ErrorKind::NotFound)?;
    let program: &mut Iter = program.try_into().map_err(io::Error::other)?;
    let link = program.attach().map_err(io::Error::other)?;
    let link = program.take_link(link).map_err(io::Error::other)?;
    link.into_file().map_err(io::Error::other)
}

/// Runs of a program that the kernel skipped because the program was already running on that CPU;
/// `None` if the kernel does not count them (before 5.12).
#[must_use]
pub fn recursion_misses(ebpf: &Ebpf, name: &str) -> Option<u64> {
    misses_of(ebpf.program(name)?.fd().ok()?)
}

/// The same for a program that may already be detached.
#[must_use]
pub fn misses_of(fd: &ProgramFd) -> Option<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()));
    let info = info.ok()?;
    let field = |line: &str| Some(line.strip_prefix("recursion_misses:")?.trim().parse());
    info.lines().find_map(field)?.ok()
}

/// The message for the user about a program that did not load or attach.
#[must_use]
pub fn refused(name: &'static str, error: &ProgramError) -> StartError {
    if errno(error) == Some(libc::EPERM) && restrictions::locked_down() {
        return StartError::Lockdown;
    }
    StartError::Refused {
        program: name,
        reason: refusal(error),
    }
}

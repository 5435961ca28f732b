//! The programs that track sockets, loaded and attached one by one; and what they are given.

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};
use tcptrace_common::{Settings, TrackSettings};

use crate::{
    model::stuck::look::Hook,
    source::{
        bpf::{
            attach::{Accept, Candidate},
            load::{SOCKETS, SOCKETS_PREALLOCATED},
            program::{self, CATEGORY, TRACEPOINT},
            tracefs, tracepoint_format,
            types::TypeInfo,
        },
        error::StartError,
        track::kernel_side::{follow::MAX_FOLLOWED, options::TrackOptions},
    },
};

/// Runs where the kernel skips the program that tells transitions.
const SECOND_PROGRAM: &str = "transition_again_btf";
/// Puts sockets into the table that processes have open.
pub const OPEN_SOCKETS_PROGRAM: &str = "seed";

/// The program that tells transitions.
pub fn transition_program(hook: Hook) -> &'static str {
    match hook {
        Hook::Btf => "transition_btf",
        Hook::Tracepoint => "transition_tracepoint",
    }
}

/// What the programs must know: of the kernel, and of what is asked for.
///
/// # Errors
/// When the classic tracepoint's layout cannot be read.
pub fn settings(
    candidate: &Candidate,
    options: &TrackOptions,
    types: Option<&TypeInfo>,
) -> Result<Settings, StartError> {
    let layout = || tracefs::with(tracepoint_format::read_for_tracking);
    let owner_filter = match candidate.cgroup_helper {
        true => options.owner_filter,
        false => options.without_helper(),
    };
    Ok(Settings {
        watched_state: options.state.number().into(),
        filter: options.filter,
        hist: options.hist,
        track: TrackSettings {
            by_pid: u32::from(!options.pids.is_empty()),
            preallocated: u32::from(preallocated(candidate, types)),
            sees_accept: u32::from(candidate.accept != Accept::Listener),
            wake_bytes: u64::from(options.buffer / 4),
            ..owner_filter
        },
        ..candidate.settings(types, layout)?
    })
}

/// Whether the table's memory is all taken at the start: before 6.1 a program on a classic
/// tracepoint may not let it grow.
pub fn preallocated(candidate: &Candidate, types: Option<&TypeInfo>) -> bool {
    let grows_anywhere = types.is_none_or(|types| types.grows_anywhere);
    candidate.hook == Hook::Tracepoint || (candidate.accept == Accept::Syscall && !grows_anywhere)
}

/// Entries of the maps, or bytes of the ring buffer.
pub fn map_sizes(options: &TrackOptions, preallocated: bool) -> Vec<(&'static str, u32)> {
    let (growing, fixed) = if preallocated {
        (1, options.max_sockets.unwrap_or(SOCKETS_PREALLOCATED))
    } else {
        (options.max_sockets.unwrap_or(SOCKETS), 1)
    };
    let followed = match options.pids.is_empty() {
        true => 1,
        false => MAX_FOLLOWED,
    };
    let cgroups = u32::try_from(options.cgroups.len()).unwrap_or(1).max(1);
    let mut sizes = vec![
        ("TRACKED", growing),
        ("TRACKED_PREALLOCATED", fixed),
        ("TRANSITIONS", options.buffer),
        ("PIDS", followed),
        ("CGROUPS", cgroups),
    ];
    sizes.extend(options.histogram_sizes());
    sizes
}

/// Loads what tells transitions; it is attached when all else is ready.
///
/// # Errors
/// When the kernel refuses.
pub fn load_transition(
    ebpf: &mut Ebpf,
    types: Option<&TypeInfo>,
    hook: Hook,
) -> Result<(), ProgramError> {
    let name = transition_program(hook);
    match (hook, types) {
        (Hook::Btf, Some(types)) => program::load_btf(ebpf, name, TRACEPOINT, types).map(drop),
        _ => program::load_classic(ebpf, name).map(drop),
    }
}

/// Attaches what tells transitions.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_transition(ebpf: &mut Ebpf, hook: Hook) -> Result<(), ProgramError> {
    match program::find(ebpf, transition_program(hook))? {
        Program::BtfTracePoint(program) => program.attach().map(drop),
        Program::TracePoint(program) => {
            tracefs::with(|| program.attach(CATEGORY, TRACEPOINT).map(drop))
        }
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Attaches a second program that runs where the kernel skips the one that tells transitions.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_second(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    program::attach_btf(ebpf, SECOND_PROGRAM, TRACEPOINT, types)
}

/// Ends the telling of transitions.
pub fn detach_transition(ebpf: &mut Ebpf, hook: Hook) {
    // The second first, or it would stand in for good.
    for name in [SECOND_PROGRAM, transition_program(hook)] {
        // A program that is unloaded is detached; one that was not loaded is neither.
        let _ = match ebpf.program_mut(name) {
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// Attaches to the end of sockets, so that no entry stays for ever.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_destroyed(
    ebpf: &mut Ebpf,
    types: Option<&TypeInfo>,
    hook: Hook,
) -> Result<(), ProgramError> {
    const EVENT: &str = "tcp_destroy_sock";
    match (hook, types) {
        (Hook::Btf, Some(types)) => program::attach_btf(ebpf, "destroyed_btf", EVENT, types),
        _ => tracefs::with(|| program::attach_classic(ebpf, "destroyed_tracepoint", "tcp", EVENT)),
    }
}

/// Loads the iterator that finds whose the sockets from before are.
///
/// # Errors
/// When the kernel refuses.
pub fn load_open_sockets(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    if !types.has_task_offsets {
        return Err(ProgramError::NotLoaded);
    }
    program::load_iterator(ebpf, OPEN_SOCKETS_PROGRAM, "task_file", types).map(drop)
}

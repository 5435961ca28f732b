//! The programs that track sockets, loaded and attached one by one, and their settings.

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
            filter,
            load::{SOCKETS, SOCKETS_PREALLOCATED},
            program::{self, CATEGORY, TRACEPOINT},
            tracefs, tracepoint_format,
            types::TypeInfo,
        },
        error::StartError,
        track::kernel_side::{follow::MAX_FOLLOWED, options::TrackOptions},
    },
};

/// The program that runs when the kernel skips the one that reports transitions.
const SECOND_PROGRAM: &str = "transition_again_btf";
/// The program that adds sockets that processes have open to the table.
pub const OPEN_SOCKETS_PROGRAM: &str = "seed";

/// The program that reports transitions.
pub fn transition_program(hook: Hook) -> &'static str {
    match hook {
        Hook::Btf => "transition_btf",
        Hook::Tracepoint => "transition_tracepoint",
    }
}

/// What the programs must know about the kernel and about the request.
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
            children: u32::from(options.children),
            preallocated: u32::from(preallocated(candidate, types)),
            sees_accept: u32::from(candidate.accept != Accept::Listener),
            own_comm: filter::own_comm(),
            wake_bytes: u64::from(options.buffer / 4),
            ..owner_filter
        },
        ..candidate.settings(types, layout)?
    })
}

/// Whether the table is preallocated: before 6.1 the table may not grow in a program on a classic
/// tracepoint.
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

/// Loads the program that reports transitions; it is attached when everything else is ready.
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

/// Attaches the program that reports transitions.
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

/// Attaches a second program that runs when the kernel skips the one that reports transitions.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_second(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    program::attach_btf(ebpf, SECOND_PROGRAM, TRACEPOINT, types)
}

/// Stops reporting transitions.
pub fn detach_transition(ebpf: &mut Ebpf, hook: Hook) {
    // The second program first: otherwise it would report every transition after the first is
    // detached.
    for name in [SECOND_PROGRAM, transition_program(hook)] {
        // Unloading also detaches. A program that was not loaded gives an error, which does not
        // matter.
        let _ = match ebpf.program_mut(name) {
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// Attaches to the destruction of sockets, so that entries are removed.
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

/// Loads the iterator that finds the owners of sockets from before the start.
///
/// # Errors
/// When the kernel refuses.
pub fn load_open_sockets(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    if !types.has_task_offsets {
        return Err(ProgramError::NotLoaded);
    }
    program::load_iterator(ebpf, OPEN_SOCKETS_PROGRAM, "task_file", types).map(drop)
}

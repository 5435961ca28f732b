//! Loading and attaching the programs of a log, one by one.

use aya::{
    Ebpf, Pod,
    maps::HashMap,
    programs::{BtfTracePoint, Iter, ProgramError, TracePoint},
};
use tcptrace_common::Settings;

use crate::{
    model::stuck::look::Hook,
    source::{
        bpf::{
            load::{self, TRACEPOINT, TypeInfo, program},
            tracefs,
        },
        error::{StartError, refusal},
        track::{accept::Accept, follow, options::LogOptions},
    },
};

/// Stands in for the next where the kernel skips that.
pub const AGAIN_PROGRAM: &str = "transition_again_btf";
const BTF_PROGRAM: &str = "transition_btf";
const TRACEPOINT_PROGRAM: &str = "transition_tracepoint";

/// The program that tells transitions.
pub fn transition_program(hook: Hook) -> &'static str {
    match hook {
        Hook::Btf => BTF_PROGRAM,
        Hook::Tracepoint => TRACEPOINT_PROGRAM,
    }
}

/// Loads it; it is attached when all else is ready.
///
/// # Errors
/// When the kernel refuses.
pub fn load_transition(
    ebpf: &mut Ebpf,
    types: Option<&TypeInfo>,
    hook: Hook,
) -> Result<(), ProgramError> {
    match (hook, types) {
        (Hook::Btf, Some(types)) => load_btf(ebpf, BTF_PROGRAM, TRACEPOINT, types).map(drop),
        _ => {
            let program: &mut TracePoint = program(ebpf, TRACEPOINT_PROGRAM)?.try_into()?;
            program.load()
        }
    }
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
    let program: &mut BtfTracePoint = program(ebpf, name)?.try_into()?;
    program.load(tracepoint, &types.aya)?;
    Ok(program)
}

/// Attaches the program that stands in for the one that tells transitions.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_again(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    load_btf(ebpf, AGAIN_PROGRAM, TRACEPOINT, types)?
        .attach()
        .map(drop)
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
    match (hook, types) {
        (Hook::Btf, Some(types)) => load_btf(ebpf, "destroyed_btf", "tcp_destroy_sock", types)?
            .attach()
            .map(drop),
        _ => tracefs::with(|| {
            let program: &mut TracePoint = program(ebpf, "destroyed_tracepoint")?.try_into()?;
            program.load()?;
            program.attach("tcp", "tcp_destroy_sock").map(drop)
        }),
    }
}

/// Loads the iterator that finds whose the sockets from before are.
///
/// # Errors
/// When the kernel refuses.
pub fn load_seed(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    if !types.has_task_offsets {
        return Err(ProgramError::NotLoaded);
    }
    let program: &mut Iter = program(ebpf, "seed")?.try_into()?;
    program.load("task_file", &types.aya)
}

/// Puts the wanted processes on the list, and keeps it.
///
/// # Errors
/// [`StartError::Follow`].
pub fn follow_processes(
    ebpf: &mut Ebpf,
    types: Option<&TypeInfo>,
    options: &LogOptions,
) -> Result<(), StartError> {
    if options.pids.is_empty() {
        return Ok(());
    }
    let failed = |error: &dyn std::error::Error| StartError::Follow {
        reason: error.to_string(),
    };
    put(ebpf, "PIDS", options.pids.iter().copied()).map_err(|error| failed(&error))?;
    let Some(types) = types.filter(|types| types.has_task_offsets) else {
        if options.children {
            let reason = "no type information".into();
            return Err(StartError::Follow { reason });
        }
        return Ok(());
    };
    follow::attach(ebpf, types, options.children).map_err(|error| failed(&error))?;
    if options.children {
        // Those that begin meanwhile are seen by the hook, if their parents are on the list; so
        // twice, for the children of those that were not yet.
        for _ in 0..2 {
            let found = follow::descendants(&options.pids);
            put(ebpf, "PIDS", found).map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

/// Puts keys on a list that the kernel side asks only whether they are there.
///
/// # Errors
/// When the kernel refuses.
pub fn put<K: Pod>(
    ebpf: &mut Ebpf,
    list: &str,
    keys: impl IntoIterator<Item = K>,
) -> Result<(), ProgramError> {
    let map = ebpf.map_mut(list).ok_or(ProgramError::NotLoaded)?;
    let mut map: HashMap<_, K, u32> = HashMap::try_from(map)?;
    for key in keys {
        map.insert(key, 1, 0)?;
    }
    Ok(())
}

/// Whether a way to learn of accepting works here.
///
/// # Errors
/// Says why not.
pub fn accept_works(accept: Accept, types: Option<&TypeInfo>) -> Result<(), String> {
    let settings = types.map_or_else(Settings::default, |types| types.settings);
    let object = load::sized(settings, types, &[], false);
    let mut ebpf = object.map_err(|error| error.to_string())?;
    let preallocated = types.is_some_and(|types| !types.grows_anywhere);
    accept
        .attach(&mut ebpf, types, preallocated)
        .map_err(|error| refusal(&error))
}

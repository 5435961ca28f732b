//! Loading and attaching the programs. What the running kernel can do is found out by trying, here
//! and nowhere else.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf, EbpfLoader, Endianness,
    programs::{BtfTracePoint, Iter, ProgramError, ProgramFd, TracePoint},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tcptrace_common::{Filter, Settings, TcpState, TracepointOffsets};

pub use crate::model::request::{AcceptChoice, HookChoice};
use crate::{
    model::stuck::look::Hook,
    source::{
        bpf::{btf::Btf, offsets},
        error::{StartError, errno, refusal},
    },
};

/// The programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] = aya::include_bytes_aligned!("tcptrace.bpf.o");

const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
pub(crate) const TRACEPOINT: &str = "inet_sock_set_state";
pub(crate) const BTF_PROGRAM: &str = "set_state_btf";
pub(crate) const TRACEPOINT_PROGRAM: &str = "set_state_tracepoint";
/// The kernel types that programs attach to.
const ATTACH_TYPES: [&str; 3] = [
    "btf_trace_inet_sock_set_state",
    "bpf_iter_task",
    "bpf_iter_task_file",
];
/// Those of a log beside them.
const LOG_ATTACH_TYPES: [&str; 4] = [
    "btf_trace_tcp_destroy_sock",
    "btf_trace_sched_process_fork",
    "btf_trace_sched_process_free",
    ACCEPT_FUNCTION,
];
/// What every accept comes to.
pub(crate) const ACCEPT_FUNCTION: &str = "inet_csk_accept";
/// Only kernels (6.1) whose hash maps may grow in any program have it.
const GROWS_ANYWHERE: &str = "bpf_mem_alloc";
/// Room for sockets where the map can grow as needed.
pub(crate) const SOCKETS: u32 = 1_000_000;
/// Room for sockets where all of it is taken at once: about 8 MiB.
pub(crate) const SOCKETS_PREALLOCATED: u32 = 65_536;
/// The smallest ring buffer there is: one page.
const NO_LOG_BYTES: u32 = 4096;
/// Inode number of the initial PID namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// What to load.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state to watch.
    pub state: TcpState,
    /// The hook.
    pub hook: HookChoice,
    /// What the kernel leaves out.
    pub filter: Filter,
    /// How many sockets the map may hold; `None` for as many as is sensible.
    pub max_sockets: Option<u32>,
    /// Whether the kernel side sends messages.
    pub log: bool,
}

/// The ways in which the kernel can find holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iterator {
    /// Walks descriptor tables with `bpf_loop` (5.17).
    Walk,
    /// Runs for each descriptor, with `bpf_sock_from_file` (5.11).
    EachFile,
}

/// The kernel's type information, as far as it is needed.
pub struct TypeInfo {
    pub(crate) aya: aya::Btf,
    /// Offsets of members of `struct sock` and, if they are known, on the way to it.
    pub settings: Settings,
    /// Whether they are known.
    pub has_task_offsets: bool,
    /// How many parameters `inet_csk_accept` takes; only looked up for a log.
    pub accept_parameters: Option<usize>,
    /// Whether a map may grow in programs on classic tracepoints; only looked up for a log.
    pub grows_anywhere: bool,
}

/// Lets maps take as much memory as they need: before 5.11 they count as locked memory. Without
/// `CAP_SYS_RESOURCE` this fails, and on later kernels it is not needed.
pub fn lift_memory_limit() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let _ = setrlimit(Resource::Memlock, unlimited);
}

impl TypeInfo {
    /// Reads the running kernel's.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn read() -> Result<Self, String> {
        Self::read_as(false)
    }

    /// The same with what a log needs.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn read_for_log() -> Result<Self, String> {
        Self::read_as(true)
    }

    fn read_as(log: bool) -> Result<Self, String> {
        let data = fs::read(BTF_PATH).map_err(|error| format!("{BTF_PATH}: {error}"))?;
        let btf = Btf::parse(&data).map_err(|error| format!("{BTF_PATH}: {error}"))?;
        let mut sock = offsets::sock(&btf).map_err(|error| error.to_string())?;
        let task = offsets::task(&btf).ok();
        let has_task_offsets = task.is_some();
        let mut task = task.unwrap_or_default();
        let mut names = ATTACH_TYPES.to_vec();
        if log {
            names.extend(LOG_ATTACH_TYPES);
            if has_task_offsets {
                offsets::add_log(&btf, &mut sock, &mut task);
            }
        }
        let slim = btf.slim(&names);
        let aya = aya::Btf::parse(&slim, Endianness::default()).map_err(|e| e.to_string())?;
        Ok(Self {
            aya,
            settings: Settings {
                sock,
                task,
                ..Settings::default()
            },
            has_task_offsets,
            accept_parameters: log.then(|| btf.parameters(ACCEPT_FUNCTION)).flatten(),
            grows_anywhere: log && btf.has_struct(GROWS_ANYWHERE),
        })
    }
}

/// Settings for the classic tracepoint.
#[must_use]
pub fn tracepoint_settings(types: Option<&TypeInfo>, layout: TracepointOffsets) -> Settings {
    Settings {
        tracepoint: layout,
        ..types.map_or_else(Settings::default, |types| types.settings)
    }
}

/// Makes the maps, and the programs ready to load.
///
/// # Errors
/// When the kernel refuses a map.
pub fn object(
    options: &Options,
    settings: Settings,
    types: Option<&TypeInfo>,
    hook: Hook,
) -> Result<Ebpf, StartError> {
    let settings = Settings {
        watched_state: options.state.number().into(),
        filter: options.filter,
        ..settings
    };
    let (growing, preallocated) = match hook {
        Hook::Btf => (options.max_sockets.unwrap_or(SOCKETS), 1),
        Hook::Tracepoint => (1, options.max_sockets.unwrap_or(SOCKETS_PREALLOCATED)),
    };
    let sizes = [("SOCKETS", growing), ("SOCKETS_PREALLOCATED", preallocated)];
    sized(settings, types, &sizes, options.log)
}

/// Makes the maps, those named with so many entries (a ring buffer: bytes) and others as small as
/// can be, and the programs ready to load; `messages`: whether the kernel side sends any.
///
/// # Errors
/// When the kernel refuses a map.
pub fn sized(
    settings: Settings,
    types: Option<&TypeInfo>,
    sizes: &[(&'static str, u32)],
    messages: bool,
) -> Result<Ebpf, StartError> {
    // The levels of aya-log: 0 is none, 4 is debug. At 0 the verifier removes every message.
    let level: u8 = if messages { 4 } else { 0 };
    let mut loader = new_loader();
    loader
        .btf(types.map(|types| &types.aya))
        .override_global("SETTINGS", &settings, true)
        .override_global("AYA_LOG_LEVEL", &level, true);
    for (name, entries) in sizes {
        loader.map_max_entries(name, *entries);
    }
    if !messages {
        loader.map_max_entries("AYA_LOGS", NO_LOG_BYTES);
    }
    Ok(loader.load(OBJECT)?)
}

/// A loader without type information of its own. `EbpfLoader::new` (aya 0.14) reads and parses all
/// of the kernel's before another can be given, which takes 20 ms and 20 MiB; where the file cannot
/// be opened it does without. Nothing else runs yet that might open a file meanwhile.
fn new_loader<'a>() -> EbpfLoader<'a> {
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        maximum: limit.maximum,
    };
    let lowered = setrlimit(Resource::Nofile, none).is_ok();
    let loader = EbpfLoader::new();
    if lowered {
        // Up to what it was is always allowed, for the hard limit stayed.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    loader
}

/// Loads and attaches the program for typed arguments.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_btf(ebpf: &mut Ebpf, types: &TypeInfo) -> Result<(), ProgramError> {
    let program: &mut BtfTracePoint = program(ebpf, BTF_PROGRAM)?.try_into()?;
    program.load(TRACEPOINT, &types.aya)?;
    program.attach().map(drop)
}

/// Loads and attaches the program for the classic tracepoint.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_tracepoint(ebpf: &mut Ebpf) -> Result<(), ProgramError> {
    let program: &mut TracePoint = program(ebpf, TRACEPOINT_PROGRAM)?.try_into()?;
    program.load()?;
    program.attach("sock", TRACEPOINT).map(drop)
}

/// Loads an iterator, and attaches it once to see that it can be.
///
/// # Errors
/// When the kernel refuses.
pub fn iterator(ebpf: &mut Ebpf, iterator: Iterator, types: &TypeInfo) -> Result<(), ProgramError> {
    let (name, over) = match iterator {
        Iterator::Walk => ("walk_files", "task"),
        Iterator::EachFile => ("each_file", "task_file"),
    };
    let program: &mut Iter = program(ebpf, name)?.try_into()?;
    program.load(over, &types.aya)?;
    let link = program.attach()?;
    program.detach(link)
}

pub(crate) fn program<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut aya::programs::Program, ProgramError> {
    // The object is ours and has it; another one would be a mistake of the build.
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)
}

/// Runs of a program that the kernel skipped because it was running on that CPU already; `None`
/// where the kernel does not count them (before 5.12).
#[must_use]
pub fn recursion_misses(ebpf: &Ebpf, program: &str) -> Option<u64> {
    misses_of(ebpf.program(program)?.fd().ok()?)
}

/// The same of a program that may be detached by now.
#[must_use]
pub fn misses_of(fd: &ProgramFd) -> Option<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()));
    let info = info.ok()?;
    let field = |line: &str| Some(line.strip_prefix("recursion_misses:")?.trim().parse());
    info.lines().find_map(field)?.ok()
}

/// What to tell the user of a program that did not load or attach.
pub fn refused(program: &'static str, error: &ProgramError) -> StartError {
    if errno(error) == Some(libc::EPERM) && locked_down() {
        return StartError::Lockdown;
    }
    StartError::Refused {
        program,
        reason: refusal(error),
    }
}

/// Whether the kernel lets nobody read its memory.
#[must_use]
pub fn locked_down() -> bool {
    let text = fs::read_to_string("/sys/kernel/security/lockdown");
    text.is_ok_and(|text| text.contains("[confidentiality]"))
}

/// Whether process ids here are those that the kernel gives to an iterator.
#[must_use]
pub fn in_initial_pid_namespace() -> bool {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata("/proc/self/ns/pid");
    metadata.is_ok_and(|metadata| metadata.ino() == INITIAL_PID_NAMESPACE)
}

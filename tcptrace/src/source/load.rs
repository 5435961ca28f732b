//! Loading and attaching the programs. What the running kernel can do is found out by trying, here
//! and nowhere else.

use std::fs;

use aya::{
    Ebpf, EbpfLoader, Endianness,
    programs::{BtfTracePoint, Iter, ProgramError, TracePoint},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tcptrace_common::{Filter, Settings, TcpState, TracepointOffsets};

use super::{
    btf::Btf,
    error::{StartError, errno, refusal},
    offsets,
};
use crate::model::look::Hook;

/// The programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../bpf/tcptrace.bpf.o");

const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
const TRACEPOINT: &str = "inet_sock_set_state";
pub(super) const BTF_PROGRAM: &str = "set_state_btf";
pub(super) const TRACEPOINT_PROGRAM: &str = "set_state_tracepoint";
/// The kernel types that programs attach to.
const ATTACH_TYPES: [&str; 3] = [
    "btf_trace_inet_sock_set_state",
    "bpf_iter_task",
    "bpf_iter_task_file",
];
/// Room for sockets where the map can grow as needed.
const SOCKETS: u32 = 1_000_000;
/// Room for sockets where all of it is taken at once: about 8 MiB.
const SOCKETS_PREALLOCATED: u32 = 65_536;
/// The smallest ring buffer there is: one page.
const NO_LOG_BYTES: u32 = 4096;
/// Inode number of the initial PID namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Which hook to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HookChoice {
    /// The cheaper one that works: btf, else tracepoint
    Auto,
    /// `tp_btf` (Linux 5.8 or later with BTF)
    Btf,
    /// The classic tracepoint (needs tracefs; works without BTF)
    Tracepoint,
}

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
    aya: aya::Btf,
    /// Offsets of members of `struct sock` and, if they are known, on the way to it.
    pub settings: Settings,
    /// Whether they are known.
    pub has_task_offsets: bool,
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
        let data = fs::read(BTF_PATH).map_err(|error| format!("{BTF_PATH}: {error}"))?;
        let btf = Btf::parse(&data).map_err(|error| format!("{BTF_PATH}: {error}"))?;
        let sock = offsets::sock(&btf).map_err(|error| error.to_string())?;
        let task = offsets::task(&btf).ok();
        let slim = btf.slim(&ATTACH_TYPES);
        let aya = aya::Btf::parse(&slim, Endianness::default()).map_err(|e| e.to_string())?;
        Ok(Self {
            aya,
            settings: Settings {
                sock,
                task: task.unwrap_or_default(),
                ..Settings::default()
            },
            has_task_offsets: task.is_some(),
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
    // The levels of aya-log: 0 is none, 4 is debug. At 0 the verifier removes every message.
    let level: u8 = if options.log { 4 } else { 0 };
    let mut loader = new_loader();
    loader
        .btf(types.map(|types| &types.aya))
        .override_global("SETTINGS", &settings, true)
        .override_global("AYA_LOG_LEVEL", &level, true)
        .map_max_entries("SOCKETS", growing)
        .map_max_entries("SOCKETS_PREALLOCATED", preallocated);
    if !options.log {
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

fn program<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut aya::programs::Program, ProgramError> {
    // The object is ours and has it; another one would be a mistake of the build.
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)
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

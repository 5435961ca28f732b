//! Loading and attaching the kernel side. What the running kernel can do is found out by trying,
//! here and nowhere else.

use std::{
    collections::HashSet,
    fs, io,
    os::fd::{AsFd, AsRawFd},
};

use aya::{
    Ebpf, EbpfLoader, Endianness,
    maps::{Map, PerCpuArray},
    programs::{BtfTracePoint, Iter, ProgramError, TracePoint},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tcptrace_common::{Counters, Filter, Settings, TcpState, WatchedSocket};

use super::{
    btf::Btf,
    error::{StartError, errno, refusal},
    holder_iter::{self, Found},
    holder_proc, offsets, tracepoint_format, watch_map,
};
use crate::model::look::{Hook, Tracing};

/// The programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../bpf/tcptrace.bpf.o");

const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
const TRACEPOINT: &str = "inet_sock_set_state";
const BTF_PROGRAM: &str = "set_state_btf";
const TRACEPOINT_PROGRAM: &str = "set_state_tracepoint";
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

/// How holders are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HolderMethod {
    Walk,
    EachFile,
    Proc,
}

/// The kernel side, attached until dropped.
pub struct KernelSide {
    ebpf: Ebpf,
    hook: Hook,
    holders: HolderMethod,
}

/// The kernel's type information, as far as it is needed.
struct TypeInfo {
    aya: aya::Btf,
    settings: Settings,
    has_task_offsets: bool,
}

impl KernelSide {
    /// Loads and attaches.
    ///
    /// # Errors
    /// A [`StartError`] that says why it cannot be done.
    pub fn attach(options: &Options) -> Result<Self, StartError> {
        // Before 5.11 maps count as locked memory; without CAP_SYS_RESOURCE this fails, and on
        // later kernels it is not needed.
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        let _ = setrlimit(Resource::Memlock, unlimited);
        let types = TypeInfo::read();
        let mut btf_problem = None;
        if options.hook != HookChoice::Tracepoint {
            match types.as_ref() {
                Ok(types) => match Self::attach_btf(options, types) {
                    Ok(kernel) => return Ok(kernel),
                    Err(error) if options.hook == HookChoice::Btf => return Err(error),
                    Err(StartError::Lockdown) => return Err(StartError::Lockdown),
                    Err(error) => btf_problem = Some(error.to_string()),
                },
                Err(reason) if options.hook == HookChoice::Btf => {
                    let reason = reason.clone();
                    return Err(StartError::NoBtf { reason });
                }
                Err(reason) => btf_problem = Some(reason.clone()),
            }
        }
        Self::attach_tracepoint(options, types.ok().as_ref(), btf_problem)
    }

    fn attach_btf(options: &Options, types: &TypeInfo) -> Result<Self, StartError> {
        let mut outcome = Err(StartError::Lockdown);
        // Kernels before 5.12 refuse a tracing program that asks for cookies.
        for has_cookie in [1, 0] {
            let settings = Settings {
                has_cookie,
                ..types.settings
            };
            let mut ebpf = load(options, settings, Some(&types.aya), Hook::Btf)?;
            outcome = attach_btf_program(&mut ebpf, &types.aya)
                .map(|()| ebpf)
                .map_err(|error| refused(BTF_PROGRAM, &error));
            if outcome.is_ok() {
                break;
            }
        }
        Ok(Self::with_holders(outcome?, Hook::Btf, Some(types)))
    }

    fn attach_tracepoint(
        options: &Options,
        types: Option<&TypeInfo>,
        btf_problem: Option<String>,
    ) -> Result<Self, StartError> {
        use tracepoint_format::Problem;
        let layout = tracepoint_format::read().map_err(|problem| match problem {
            Problem::NoTracefs => StartError::NoTracefs { btf_problem },
            Problem::NoTracepoint => StartError::NoTracepoint { btf_problem },
            Problem::Field(reason) => StartError::TracepointFormat { reason },
        })?;
        let settings = Settings {
            tracepoint: layout,
            ..types.map_or_else(Settings::default, |types| types.settings)
        };
        let types = types.map(|types| (types, &types.aya));
        let btf = types.map(|(_, aya)| aya);
        let mut ebpf = load(options, settings, btf, Hook::Tracepoint)?;
        attach_tracepoint_program(&mut ebpf)
            .map_err(|error| refused(TRACEPOINT_PROGRAM, &error))?;
        let types = types.map(|(types, _)| types);
        Ok(Self::with_holders(ebpf, Hook::Tracepoint, types))
    }

    fn with_holders(mut ebpf: Ebpf, hook: Hook, types: Option<&TypeInfo>) -> Self {
        let usable = types.filter(|types| types.has_task_offsets && in_initial_pid_namespace());
        let loads = |ebpf: &mut Ebpf, program: &str, iterator: &str, types: &TypeInfo| {
            let program: Option<&mut Iter> =
                ebpf.program_mut(program).and_then(|p| p.try_into().ok());
            program.is_some_and(|program| program.load(iterator, &types.aya).is_ok())
        };
        let holders = match usable {
            Some(types) if loads(&mut ebpf, "walk_files", "task", types) => HolderMethod::Walk,
            Some(types) if loads(&mut ebpf, "each_file", "task_file", types) => {
                HolderMethod::EachFile
            }
            _ => HolderMethod::Proc,
        };
        Self {
            ebpf,
            hook,
            holders,
        }
    }

    /// How the kernel side works here, for the curious.
    #[must_use]
    pub fn describe(&self) -> String {
        let hook = match self.hook {
            Hook::Btf => "attached by tp_btf",
            Hook::Tracepoint => "attached by the classic tracepoint",
        };
        let holders = match self.holders {
            HolderMethod::Walk => "a BPF iterator over tasks (walk_files)",
            HolderMethod::EachFile => "a BPF iterator over descriptors (each_file)",
            HolderMethod::Proc => "/proc/*/fd",
        };
        format!("{hook}; holders are found by {holders}")
    }

    /// Starts printing the kernel side's messages.
    ///
    /// # Errors
    /// When the ring of messages cannot be read.
    pub fn print_log(&mut self) -> anyhow::Result<()> {
        super::kernel_log::print_in_background(&mut self.ebpf)
    }

    /// The sockets in the watched state that were seen to enter it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn watched(&self) -> io::Result<Vec<WatchedSocket>> {
        let name = match self.hook {
            Hook::Btf => "SOCKETS",
            Hook::Tracepoint => "SOCKETS_PREALLOCATED",
        };
        match self.ebpf.map(name) {
            Some(Map::HashMap(map)) => watch_map::read_all(map.fd().as_fd()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What the kernel side counted.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn tracing(&self) -> io::Result<Tracing> {
        let map = self.ebpf.map("COUNTERS").ok_or(io::ErrorKind::NotFound)?;
        let map: PerCpuArray<_, Counters> = PerCpuArray::try_from(map).map_err(io::Error::other)?;
        let mut tracing = Tracing {
            hook: self.hook,
            recursion_misses: self.recursion_misses(),
            ..Tracing::default()
        };
        for counters in map.get(&0, 0).map_err(io::Error::other)?.iter() {
            tracing.entered += counters.entered;
            tracing.left += counters.left;
            tracing.lost += counters.lost;
        }
        Ok(tracing)
    }

    /// Runs that the kernel skipped because the program was running on that CPU already (5.12).
    fn recursion_misses(&self) -> Option<u64> {
        let program = match self.hook {
            Hook::Btf => BTF_PROGRAM,
            Hook::Tracepoint => TRACEPOINT_PROGRAM,
        };
        let fd = self.ebpf.program(program)?.fd().ok()?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()));
        let info = info.ok()?;
        let field = |line: &str| Some(line.strip_prefix("recursion_misses:")?.trim().parse());
        info.lines().find_map(field)?.ok()
    }

    /// As [`Self::holders`], before it is known of which sockets; `None` where that must be known.
    pub fn holders_ahead(&mut self) -> Option<io::Result<Found>> {
        match self.holders {
            HolderMethod::Walk => Some(holder_iter::walk(&mut self.ebpf, false)),
            HolderMethod::EachFile | HolderMethod::Proc => None,
        }
    }

    /// Every descriptor of the sockets with these inodes, and maybe of others; `mptcp` says that
    /// some of them are subflows of MPTCP.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn holders(&mut self, inodes: &HashSet<u64>, mptcp: bool) -> io::Result<Found> {
        match self.holders {
            HolderMethod::Walk => holder_iter::walk(&mut self.ebpf, mptcp),
            HolderMethod::EachFile => holder_iter::each_file(&mut self.ebpf),
            HolderMethod::Proc => holder_proc::find(inodes),
        }
    }
}

impl TypeInfo {
    fn read() -> Result<Self, String> {
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

fn load(
    options: &Options,
    settings: Settings,
    btf: Option<&aya::Btf>,
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
        .btf(btf)
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

fn attach_btf_program(ebpf: &mut Ebpf, btf: &aya::Btf) -> Result<(), ProgramError> {
    let program: &mut BtfTracePoint = program(ebpf, BTF_PROGRAM)?.try_into()?;
    program.load(TRACEPOINT, btf)?;
    program.attach().map(drop)
}

fn attach_tracepoint_program(ebpf: &mut Ebpf) -> Result<(), ProgramError> {
    let program: &mut TracePoint = program(ebpf, TRACEPOINT_PROGRAM)?.try_into()?;
    program.load()?;
    program.attach("sock", TRACEPOINT).map(drop)
}

fn program<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut aya::programs::Program, ProgramError> {
    // The object is ours and has it; another one would be a mistake of the build.
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)
}

fn refused(program: &'static str, error: &ProgramError) -> StartError {
    if errno(error) == Some(libc::EPERM) && locked_down() {
        return StartError::Lockdown;
    }
    StartError::Refused {
        program,
        reason: refusal(error),
    }
}

fn locked_down() -> bool {
    let text = fs::read_to_string("/sys/kernel/security/lockdown");
    text.is_ok_and(|text| text.contains("[confidentiality]"))
}

fn in_initial_pid_namespace() -> bool {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata("/proc/self/ns/pid");
    metadata.is_ok_and(|metadata| metadata.ino() == INITIAL_PID_NAMESPACE)
}

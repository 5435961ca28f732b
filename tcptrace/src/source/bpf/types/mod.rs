//! The kernel's type information, as far as tcptrace needs it.

pub mod btf;
#[cfg(test)]
mod btf_tests;
mod file;
pub mod offsets;

use aya::Endianness;
use tcptrace_common::{Settings, SockOffsets, TaskOffsets, TcpOffsets};

use crate::source::bpf::types::{file::BtfFile, offsets::Owners};

/// The kernel function that every accept calls.
pub const ACCEPT_FUNCTION: &str = "inet_csk_accept";
/// The kernel types that programs attach to.
const ATTACH_TYPES: [&str; 1] = ["btf_trace_inet_sock_set_state"];
/// The additional types for tracking.
const TRACKING_ATTACH_TYPES: [&str; 5] = [
    "bpf_iter_task_file",
    "btf_trace_tcp_destroy_sock",
    "btf_trace_sched_process_fork",
    "btf_trace_sched_process_free",
    ACCEPT_FUNCTION,
];
/// Only kernels (6.1 and later) whose hash maps may grow in any program have it.
const GROWS_ANYWHERE: &str = "bpf_mem_alloc";

/// The kernel's type information, as far as tcptrace needs it.
pub struct TypeInfo {
    pub(crate) aya: aya::Btf,
    /// Offsets of members of `struct sock` and, if they are known, on the way to it.
    pub settings: Settings,
    /// Whether they are known.
    pub has_task_offsets: bool,
    /// How many parameters `inet_csk_accept` takes; only looked up for tracking.
    pub accept_parameters: Option<usize>,
    /// Whether a map may grow in programs on classic tracepoints; only looked up for tracking.
    pub grows_anywhere: bool,
}

impl TypeInfo {
    /// Reads the running kernel's.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn read() -> Result<Self, String> {
        Self::read_as(false)
    }

    /// The same, with what `log` and `hist` need.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn read_for_tracking() -> Result<Self, String> {
        Self::read_as(true)
    }

    fn read_as(tracking: bool) -> Result<Self, String> {
        let file = BtfFile::open()?;
        let btf = file.parse()?;
        let owners = Owners::find(&btf);
        let mut sock = offsets::sock(&owners).map_err(|error| error.to_string())?;
        offsets::add_mptcp(&owners, &mut sock);
        let task = offsets::task(&owners).ok();
        let has_task_offsets = task.is_some();
        let mut task = task.unwrap_or_default();
        let mut names = ATTACH_TYPES.to_vec();
        if tracking {
            names.extend(TRACKING_ATTACH_TYPES);
            if has_task_offsets {
                offsets::add_tracking(&owners, &mut sock, &mut task);
            }
        }
        let slim = btf.slim(&names);
        let aya = aya::Btf::parse(&slim, Endianness::default()).map_err(|e| e.to_string())?;
        let parameters = || btf.parameters(ACCEPT_FUNCTION);
        Ok(Self {
            aya,
            settings: Settings {
                sock,
                entry: offsets::entry(&owners),
                task,
                ..Settings::default()
            },
            has_task_offsets,
            accept_parameters: tracking.then(parameters).flatten(),
            grows_anywhere: tracking && btf.has_struct(GROWS_ANYWHERE),
        })
    }
}

/// What the walk over descriptors needs to know of the kernel's types.
#[derive(Debug, Clone, Default)]
pub struct WalkTypes {
    /// Members of `struct sock`.
    pub sock: SockOffsets,
    /// Members on the way from a task to its sockets.
    pub task: TaskOffsets,
    /// Further members.
    pub tcp: TcpOffsets,
    /// Id of the kernel's function that the caller asked for, if there is one.
    pub function: Option<u32>,
}

impl WalkTypes {
    /// Reads the running kernel's, and the id of one of its functions.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn read(function: &str) -> Result<Self, String> {
        let file = BtfFile::open()?;
        let btf = file.parse()?;
        let owners = Owners::find(&btf);
        let text = |error: offsets::MissingMember| error.to_string();
        let mut sock = offsets::sock(&owners).map_err(text)?;
        Ok(Self {
            task: offsets::task(&owners).map_err(text)?,
            tcp: offsets::tcp(&owners, &mut sock).map_err(text)?,
            function: btf.function(function),
            sock,
        })
    }
}

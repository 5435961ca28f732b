//! Requests about the running machine.

use std::{path::PathBuf, time::Duration};

use crate::model::{
    names::names,
    request::{Filters, HistShow, LogShow, StuckShow},
    states::report::By,
};

/// Which hook to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookChoice {
    /// The cheapest hook that works: btf, otherwise tracepoint.
    Auto,
    /// `tp_btf` (Linux 5.8 or later with BTF).
    Btf,
    /// The classic tracepoint (needs tracefs; works without BTF).
    Tracepoint,
}

names!(HookChoice {
    Auto => "auto",
    Btf => "btf",
    Tracepoint => "tracepoint",
});

/// How to detect who accepts a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptChoice {
    /// The first that works of fexit, syscall, listener.
    Auto,
    /// The return of `inet_csk_accept` (trampolines).
    Fexit,
    /// The return of the accept system calls (tracefs and type information; not io_uring's
    /// accepts).
    Syscall,
    /// Not detected: a connection belongs to the process that listens.
    Listener,
}

names!(AcceptChoice {
    Auto => "auto",
    Fexit => "fexit",
    Syscall => "syscall",
    Listener => "listener",
});

/// How to find sockets and the processes that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkChoice {
    /// The first that works of tasks, files, proc.
    Auto,
    /// A BPF iterator walks the descriptors of each thread in the kernel (Linux 5.17 or later).
    Tasks,
    /// A BPF iterator runs for each descriptor (Linux 5.8 or later).
    Files,
    /// `sock_diag` in each namespace, and `/proc/*/fd`: slower, and without residue.
    Proc,
}

names!(WalkChoice {
    Auto => "auto",
    Tasks => "tasks",
    Files => "files",
    Proc => "proc",
});

/// Options of `tcptrace states`.
#[derive(Debug, Clone)]
pub struct StatesRequest {
    /// What sockets are counted by; none for a process and its connections.
    pub by: Vec<By>,
    /// Which sockets.
    pub filters: Filters,
    /// The maximum number of groups to show; `None` for the default of the output.
    pub top: Option<usize>,
    /// Whether to write JSON.
    pub json: bool,
    /// Whether to look once and exit.
    pub once: bool,
    /// Time between looks.
    pub interval: Duration,
    /// After which time to end.
    pub duration: Option<Duration>,
    /// How to find sockets and the processes that hold them.
    pub walk: WalkChoice,
    /// How much to say about how it works.
    pub verbose: u8,
}

/// Options of `tcptrace stuck`.
#[derive(Debug, Clone)]
pub struct StuckRequest {
    /// What to show.
    pub show: StuckShow,
    /// Whether to look once and exit.
    pub once: bool,
    /// Time between looks.
    pub interval: Duration,
    /// After which time to end.
    pub duration: Option<Duration>,
    /// How to attach to the kernel.
    pub hook: HookChoice,
    /// How to find sockets and their holders.
    pub walk: WalkChoice,
    /// Maximum number of sockets to track in the kernel; `None` for the default.
    pub max_sockets: Option<u32>,
    /// Verbosity: 1 shows how the kernel side works here, 2 also its own messages.
    pub verbose: u8,
}

/// Options of `tcptrace log`.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// What to show.
    pub show: LogShow,
    /// The file to write instead of the screen.
    pub output: Option<PathBuf>,
    /// The folder to write a file for each process into, instead of a file or the screen.
    pub dir: Option<PathBuf>,
    /// When a file in the folder is rotated.
    pub rotation: Option<Rotation>,
    /// How many files of processes the folder may have.
    pub max_files: usize,
    /// After which time to end.
    pub duration: Option<Duration>,
    /// How to attach to the kernel.
    pub hook: HookChoice,
    /// How to find sockets and their holders.
    pub walk: WalkChoice,
    /// How to detect who accepts a connection.
    pub accept: AcceptChoice,
    /// Size of the buffer for transitions in bytes, a power of 2 from 64 KiB to 1 GiB.
    pub buffer: u32,
    /// Maximum number of sockets to track in the kernel; `None` for the default.
    pub max_sockets: Option<u32>,
    /// Verbosity: 1 shows how the kernel side works here, 2 also its own messages.
    pub verbose: u8,
}

/// When a file is rotated, and how many old files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The maximum size of a file in bytes.
    pub size: u64,
    /// The number of old files kept for each.
    pub keep: u32,
}

/// Options of `tcptrace hist`.
#[derive(Debug, Clone)]
pub struct HistRequest {
    /// What to show.
    pub show: HistShow,
    /// Whether descendants of the processes in the filters count too.
    pub children: bool,
    /// Time between reports; `None` for a single one at the end.
    pub interval: Option<Duration>,
    /// After which time to end.
    pub duration: Option<Duration>,
    /// How to attach to the kernel.
    pub hook: HookChoice,
    /// How to find sockets and their holders.
    pub walk: WalkChoice,
    /// How to detect who accepts a connection.
    pub accept: AcceptChoice,
    /// Maximum number of sockets to track in the kernel; `None` for the default.
    pub max_sockets: Option<u32>,
    /// Verbosity: 1 shows how the kernel side works here, 2 also its own messages.
    pub verbose: u8,
}

/// Options of `tcptrace doctor`.
#[derive(Debug, Clone, Copy)]
pub struct DoctorRequest {
    /// Whether to show also what is fine.
    pub all: bool,
    /// Whether to write JSON.
    pub json: bool,
}

//! What may be asked of the running machine.

use std::{path::PathBuf, time::Duration};

use crate::model::{
    names::names,
    request::{HistShow, LogShow, StuckShow},
};

/// Which hook to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookChoice {
    /// The cheaper one that works: btf, else tracepoint.
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

/// How to learn who accepts a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptChoice {
    /// The first that works: fexit, else syscall, else listener.
    Auto,
    /// The return of `inet_csk_accept` (trampolines).
    Fexit,
    /// The return of the accept system calls (tracefs and type information; not io_uring's
    /// accepts).
    Syscall,
    /// Not at all: a connection counts as its listener's.
    Listener,
}

names!(AcceptChoice {
    Auto => "auto",
    Fexit => "fexit",
    Syscall => "syscall",
    Listener => "listener",
});

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
    /// Room for so many sockets in the kernel; `None` for as many as is sensible.
    pub max_sockets: Option<u32>,
    /// How much to say: 1 how it works here, 2 also the kernel side's own messages.
    pub verbose: u8,
}

/// Options of `tcptrace log`.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// What to show.
    pub show: LogShow,
    /// The file to write instead of the screen.
    pub output: Option<PathBuf>,
    /// The folder to write a file for each process into, instead of both.
    pub dir: Option<PathBuf>,
    /// When a file in the folder is put aside.
    pub rotation: Option<Rotation>,
    /// After which time to end.
    pub duration: Option<Duration>,
    /// How to attach to the kernel.
    pub hook: HookChoice,
    /// How to learn who accepts a connection.
    pub accept: AcceptChoice,
    /// Bytes for transitions that are not read yet, a power of 2 from 64 KiB to 1 GiB.
    pub buffer: u32,
    /// Room for so many sockets in the kernel; `None` for as many as is sensible.
    pub max_sockets: Option<u32>,
    /// How much to say: 1 how it works here, 2 also the kernel side's own messages.
    pub verbose: u8,
}

/// When a file is put aside, and how many of those are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes that a file may have.
    pub size: u64,
    /// Old files of each.
    pub keep: u32,
}

/// Options of `tcptrace hist`.
#[derive(Debug, Clone)]
pub struct HistRequest {
    /// What to show.
    pub show: HistShow,
    /// Whether descendants of the processes that the filters name count too.
    pub children: bool,
    /// Time between reports; `None` for one at the end alone.
    pub interval: Option<Duration>,
    /// After which time to end.
    pub duration: Option<Duration>,
    /// How to attach to the kernel.
    pub hook: HookChoice,
    /// How to learn who accepts a connection.
    pub accept: AcceptChoice,
    /// Room for so many sockets in the kernel; `None` for as many as is sensible.
    pub max_sockets: Option<u32>,
    /// How much to say: 1 how it works here, 2 also the kernel side's own messages.
    pub verbose: u8,
}

/// Options of `tcptrace doctor`.
#[derive(Debug, Clone, Copy)]
pub struct DoctorRequest {
    /// Whether to write JSON.
    pub json: bool,
}

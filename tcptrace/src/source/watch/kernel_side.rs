//! The kernel side, attached: choosing what works here, and reading its maps.

use std::{io, os::fd::AsFd};

use aya::{Ebpf, maps::Map};
use tcptrace_common::{Settings, WatchCounters};

use crate::{
    model::stuck::look::{Entered, Exit, Hook, Tracing},
    source::{
        bpf::{
            attach::{self, Candidate},
            load::{self, SOCKETS, SOCKETS_PREALLOCATED},
            messages::{self, Say},
            program::{self, CATEGORY, TRACEPOINT},
            read_map, tracefs, tracepoint_format,
            types::TypeInfo,
        },
        error::StartError,
        machine::{clock::tick_ns, restrictions},
        watch::{
            convert,
            exits::{self, Exits},
            options::WatchOptions,
        },
    },
};

/// The kernel side, attached until dropped.
pub struct KernelSide {
    ebpf: Ebpf,
    hook: Hook,
    filters_all: bool,
    exits: Exits,
}

/// Creates the maps, and prepares the programs for loading.
///
/// # Errors
/// When the kernel refuses a map.
pub fn object(
    options: &WatchOptions,
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
    let sizes = [
        ("SOCKETS", growing),
        ("SOCKETS_PREALLOCATED", preallocated),
        (exits::NAME, exits::BYTES),
    ];
    load::object(settings, types, &sizes, options.messages)
}

/// Loads and attaches the program that sees transitions, for one candidate.
///
/// # Errors
/// A [`StartError`] that says why tracing cannot start.
pub fn attach_as(
    candidate: &Candidate,
    options: &WatchOptions,
    types: Option<&TypeInfo>,
) -> Result<Ebpf, StartError> {
    let settings = candidate.settings(types, || tracefs::with(tracepoint_format::read))?;
    let mut ebpf = object(options, settings, types, candidate.hook)?;
    let name = program_of(candidate.hook);
    let attached = match (candidate.hook, types) {
        (Hook::Btf, Some(types)) => program::attach_btf(&mut ebpf, name, TRACEPOINT, types),
        _ => tracefs::with(|| program::attach_classic(&mut ebpf, name, CATEGORY, TRACEPOINT)),
    };
    attached.map_err(|error| program::refused(name, &error))?;
    Ok(ebpf)
}

/// The program that sees transitions.
fn program_of(hook: Hook) -> &'static str {
    match hook {
        Hook::Btf => "set_state_btf",
        Hook::Tracepoint => "set_state_tracepoint",
    }
}

impl KernelSide {
    /// Loads and attaches the working candidate that costs least.
    ///
    /// # Errors
    /// A [`StartError`] that says why tracing cannot start.
    pub fn attach(options: &WatchOptions) -> Result<Self, StartError> {
        restrictions::lift_memory_limit();
        let types = TypeInfo::read();
        let candidates = options.candidates(types.is_ok());
        attach::first_that_works(options.hook, types.as_ref(), &candidates, |candidate| {
            let types = types.as_ref().ok();
            let mut ebpf = attach_as(candidate, options, types)?;
            Ok(Self {
                exits: Exits::take(&mut ebpf)?,
                ebpf,
                hook: candidate.hook,
                filters_all: options.filters_all,
            })
        })
    }

    /// How the kernel side works on this machine, for `-v`.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.hook {
            Hook::Btf => "attached by tp_btf",
            Hook::Tracepoint => "attached by the classic tracepoint",
        }
    }

    /// Gives the kernel side's messages to `say` from now on.
    ///
    /// # Errors
    /// When the ring of messages cannot be read.
    pub fn print_messages(&mut self, say: Say) -> anyhow::Result<()> {
        messages::print_in_background(&mut self.ebpf, say)
    }

    /// The sockets in the watched state that were seen to enter it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn watched(&self) -> io::Result<Vec<Entered>> {
        let name = match self.hook {
            Hook::Btf => "SOCKETS",
            Hook::Tracepoint => "SOCKETS_PREALLOCATED",
        };
        match self.ebpf.map(name) {
            Some(Map::HashMap(map)) => {
                let entries = read_map::read_all(map.fd().as_fd())?;
                let tick_ns = tick_ns();
                Ok(entries
                    .iter()
                    .filter_map(|entry| convert::entered(entry, tick_ns))
                    .collect())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The sockets that were seen to leave it until this moment, in ns of `CLOCK_MONOTONIC`, since the last call;
    /// those are left out that were in it for a moment only.
    pub fn exits(&mut self, now_ns: u64) -> Vec<Exit> {
        self.exits.until(now_ns)
    }

    /// How many such sockets found no room to be reported, since the start.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unreported_exits(&self) -> io::Result<u64> {
        let counters = read_map::of_each_cpu::<WatchCounters>(&self.ebpf, "WATCH_COUNTERS")?;
        Ok(counters.iter().map(|counters| counters.unreported).sum())
    }

    /// What the kernel side counted.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn tracing(&self) -> io::Result<Tracing> {
        let mut tracing = Tracing {
            hook: Some(self.hook),
            filtered: self.filters_all,
            recursion_misses: program::recursion_misses(&self.ebpf, program_of(self.hook)),
            ..Tracing::default()
        };
        for counters in read_map::of_each_cpu::<WatchCounters>(&self.ebpf, "WATCH_COUNTERS")?.iter()
        {
            tracing.entered += counters.entered;
            tracing.left += counters.left;
            tracing.lost += counters.lost;
        }
        Ok(tracing)
    }
}

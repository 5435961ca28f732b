//! The kernel side, attached: choosing what works here, and reading what it keeps.

use std::{collections::HashSet, io, os::fd::AsFd};

use aya::{
    Ebpf,
    maps::{Map, PerCpuArray},
};
use tcptrace_common::{Settings, WatchCounters, WatchedSocket};

use super::{
    error::StartError,
    holder::HolderMethod,
    holder_iter::Found,
    load::{self, BTF_PROGRAM, HookChoice, Options, TRACEPOINT_PROGRAM, TypeInfo, refused},
    tracepoint_format, watch_map,
};
use crate::model::look::{Hook, Tracing};

/// The kernel side, attached until dropped.
pub struct KernelSide {
    ebpf: Ebpf,
    hook: Hook,
    holders: HolderMethod,
}

impl KernelSide {
    /// Loads and attaches.
    ///
    /// # Errors
    /// A [`StartError`] that says why it cannot be done.
    pub fn attach(options: &Options) -> Result<Self, StartError> {
        load::lift_memory_limit();
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
            let mut ebpf = load::object(options, settings, Some(types), Hook::Btf)?;
            outcome = load::attach_btf(&mut ebpf, types)
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
        let layout = tracepoint_format::read()
            .map_err(|problem| StartError::of_tracepoint(problem, btf_problem))?;
        let settings = load::tracepoint_settings(types, layout);
        let mut ebpf = load::object(options, settings, types, Hook::Tracepoint)?;
        load::attach_tracepoint(&mut ebpf).map_err(|error| refused(TRACEPOINT_PROGRAM, &error))?;
        Ok(Self::with_holders(ebpf, Hook::Tracepoint, types))
    }

    fn with_holders(mut ebpf: Ebpf, hook: Hook, types: Option<&TypeInfo>) -> Self {
        let holders = HolderMethod::choose(&mut ebpf, types);
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
        let holders = self.holders.describe();
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
        let map = self
            .ebpf
            .map("WATCH_COUNTERS")
            .ok_or(io::ErrorKind::NotFound)?;
        let map: PerCpuArray<_, WatchCounters> =
            PerCpuArray::try_from(map).map_err(io::Error::other)?;
        let mut tracing = Tracing {
            hook: Some(self.hook),
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

    fn recursion_misses(&self) -> Option<u64> {
        let program = match self.hook {
            Hook::Btf => BTF_PROGRAM,
            Hook::Tracepoint => TRACEPOINT_PROGRAM,
        };
        load::recursion_misses(&self.ebpf, program)
    }

    /// As [`Self::holders`], before it is known of which sockets; `None` where that must be known.
    pub fn holders_ahead(&mut self) -> Option<io::Result<Found>> {
        self.holders.find_ahead(&mut self.ebpf)
    }

    /// Every descriptor of the sockets with these inodes, and maybe of others; `mptcp` says that
    /// some of them are subflows of MPTCP.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn holders(&mut self, inodes: &HashSet<u64>, mptcp: bool) -> io::Result<Found> {
        self.holders.find(&mut self.ebpf, inodes, mptcp)
    }
}

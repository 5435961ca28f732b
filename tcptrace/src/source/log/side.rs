//! The kernel side of a log, attached: choosing what works here, and reading what it keeps.

use std::{collections::HashSet, io, os::fd::AsFd as _};

use aya::{
    Ebpf,
    maps::{Map, MapData, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, Iter, Program, ProgramError, ProgramFd, TracePoint},
};
use tcptrace_common::{Settings, TrackCounters, TrackSettings, TrackedSocket};

use super::{
    super::{
        error::{StartError, refusal},
        holder::HolderMethod,
        holder_iter::Found,
        kernel_log,
        load::{
            self, HookChoice, SOCKETS, SOCKETS_PREALLOCATED, TRACEPOINT, TypeInfo, program, refused,
        },
        tracefs, tracepoint_format, watch_map,
    },
    accept::Accept,
    attach::{
        AGAIN_PROGRAM, attach_again, attach_destroyed, follow_processes, load_seed,
        load_transition, put, transition_program,
    },
    follow,
    options::LogOptions,
};
use crate::model::look::Hook;

/// The kernel side, attached until dropped.
pub struct LogSide {
    ebpf: Ebpf,
    hook: Hook,
    accept: Accept,
    preallocated: bool,
    holders: HolderMethod,
    /// Whether owners matter.
    owned: bool,
    /// Whether only those control groups are wanted that there were at the start.
    lists_cgroups: bool,
    seeds: bool,
    /// The program that told transitions, when it does no more: its count stays.
    stopped: Option<ProgramFd>,
}

/// Why a combination did not work.
enum Refusal {
    /// The program for transitions, with which nothing works.
    Transition(ProgramError),
    /// The one for accepting.
    Accept(ProgramError),
    /// Something else.
    Start(StartError),
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl LogSide {
    /// Loads all and attaches all but the telling of transitions, the cheapest ways that work.
    ///
    /// # Errors
    /// A [`StartError`] that says why it cannot be done.
    pub fn attach(options: &LogOptions) -> Result<Self, StartError> {
        load::lift_memory_limit();
        let types = TypeInfo::read_for_log();
        let mut btf_problem = None;
        if options.hook != HookChoice::Tracepoint {
            match types.as_ref() {
                Ok(types) => match Self::attach_btf(options, types) {
                    Ok(side) => return Ok(side),
                    Err(error) if options.hook == HookChoice::Btf => return Err(error),
                    Err(error @ (StartError::Lockdown | StartError::Accept { .. })) => {
                        return Err(error);
                    }
                    Err(error) => btf_problem = Some(error.to_string()),
                },
                Err(reason) if options.hook == HookChoice::Btf => {
                    let reason = reason.clone();
                    return Err(StartError::NoBtf { reason });
                }
                Err(reason) => btf_problem = Some(reason.clone()),
            }
        }
        if let (Err(reason), 1..) = (&types, options.filter.netns) {
            let reason = reason.clone();
            return Err(StartError::Namespace { reason });
        }
        let types = types.as_ref().ok();
        let layout = tracefs::with(tracepoint_format::read_for_log);
        let layout = layout.map_err(|problem| StartError::of_tracepoint(problem, btf_problem))?;
        let settings = load::tracepoint_settings(types, layout);
        let outcome = Self::attach_first(options, settings, types, Hook::Tracepoint);
        if options.log.cgroup == 0 || !matches!(outcome, Err(StartError::Refused { .. })) {
            return outcome;
        }
        let options = LogOptions {
            log: options.without_helper(),
            ..options.clone()
        };
        Self::attach_first(&options, settings, types, Hook::Tracepoint)
    }

    fn attach_btf(options: &LogOptions, types: &TypeInfo) -> Result<Self, StartError> {
        // Kernels before 5.12 refuse a tracing program that asks for cookies or for a typed task,
        // some one that asks for the groups above a process's own, which the model then does.
        let (log, without_helper) = (options.log, options.without_helper());
        let mut attempts = vec![(1, log), (0, log)];
        if log.cgroup != 0 {
            attempts.extend([(1, without_helper), (0, without_helper)]);
        }
        let mut outcome = Err(StartError::Lockdown);
        for (modern, log) in attempts {
            let settings = Settings {
                has_cookie: modern,
                has_task_type: modern,
                ..types.settings
            };
            let options = LogOptions {
                log,
                ..options.clone()
            };
            outcome = Self::attach_first(&options, settings, Some(types), Hook::Btf);
            if !matches!(
                outcome,
                Err(StartError::Refused { .. } | StartError::Accept { .. })
            ) {
                break;
            }
        }
        outcome
    }

    /// Attaches with the first way to learn of accepting that works.
    fn attach_first(
        options: &LogOptions,
        settings: Settings,
        types: Option<&TypeInfo>,
        hook: Hook,
    ) -> Result<Self, StartError> {
        let name = transition_program(hook);
        let mut problem = None;
        let candidates = match options.hist.without_owners {
            0 => Accept::candidates(options.accept),
            // It makes no difference.
            _ => &[Accept::Listener],
        };
        for accept in candidates {
            match Self::attach_with(options, settings, types, hook, *accept) {
                Ok(side) => return Ok(side),
                Err(Refusal::Start(error)) => return Err(error),
                Err(Refusal::Transition(error)) => return Err(refused(name, &error)),
                Err(Refusal::Accept(error)) => problem = Some((accept.name(), error)),
            }
        }
        let (way, error) = problem.map_or_else(
            || ("accept", String::new()),
            |(way, error)| (way, refusal(&error)),
        );
        Err(StartError::Accept { way, reason: error })
    }

    fn attach_with(
        options: &LogOptions,
        settings: Settings,
        types: Option<&TypeInfo>,
        hook: Hook,
        accept: Accept,
    ) -> Result<Self, Refusal> {
        let preallocated = hook == Hook::Tracepoint
            || (accept == Accept::Syscall && types.is_some_and(|types| !types.grows_anywhere));
        let (growing, fixed) = if preallocated {
            (1, options.max_sockets.unwrap_or(SOCKETS_PREALLOCATED))
        } else {
            (options.max_sockets.unwrap_or(SOCKETS), 1)
        };
        let settings = Settings {
            watched_state: options.state.number().into(),
            filter: options.filter,
            hist: options.hist,
            track: TrackSettings {
                by_pid: u32::from(!options.pids.is_empty()),
                preallocated: u32::from(preallocated),
                sees_accept: u32::from(accept != Accept::Listener),
                wake_bytes: u64::from(options.buffer / 4),
                ..options.log
            },
            ..settings
        };
        let followed = match options.pids.is_empty() {
            true => 1,
            false => follow::MOST,
        };
        let mut sizes = vec![
            ("TRACKED", growing),
            ("TRACKED_PREALLOCATED", fixed),
            ("TRANSITIONS", options.buffer),
            ("PIDS", followed),
            (
                "CGROUPS",
                u32::try_from(options.cgroups.len()).unwrap_or(1).max(1),
            ),
        ];
        sizes.extend(options.room());
        let mut ebpf = load::sized(settings, types, &sizes, options.messages)?;
        // The quickest to be refused first; and before transitions are told all that they need.
        accept
            .attach(&mut ebpf, types, preallocated)
            .map_err(Refusal::Accept)?;
        load_transition(&mut ebpf, types, hook).map_err(Refusal::Transition)?;
        follow_processes(&mut ebpf, types, options)?;
        put(&mut ebpf, "CGROUPS", options.cgroups.iter().copied()).map_err(Refusal::Transition)?;
        let owned = options.hist.without_owners == 0;
        if owned {
            attach_destroyed(&mut ebpf, types, hook).map_err(Refusal::Transition)?;
        }
        let holders = HolderMethod::choose(&mut ebpf, types);
        let seeds = types.is_some_and(|types| owned && load_seed(&mut ebpf, types).is_ok());
        Ok(Self {
            ebpf,
            hook,
            accept,
            preallocated,
            holders,
            owned,
            lists_cgroups: options.log.cgroup != 0
                && options.log.cgroup_level == TrackSettings::BY_LIST,
            seeds,
            stopped: None,
        })
    }

    /// How the kernel side works here, for the curious.
    #[must_use]
    pub fn describe(&self) -> String {
        let hook = match self.hook {
            Hook::Btf => "attached by tp_btf",
            Hook::Tracepoint => "attached by the classic tracepoint",
        };
        let accept = match self.accept {
            Accept::Fexit => "accepting is seen by fexit",
            Accept::Syscall => "accepting is seen by the system calls' tracepoints (syscall)",
            Accept::Listener => "accepting is not seen (listener)",
        };
        let seeds = if self.seeds {
            "sockets from before are found by a BPF iterator (seed)"
        } else {
            "sockets from before have no owner"
        };
        if !self.owned {
            return format!("{hook}; owners are not asked for");
        }
        let holders = self.holders.describe();
        format!("{hook}; {accept}; {seeds}; holders are found by {holders}")
    }

    /// Where it is attached.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Starts printing the kernel side's messages.
    ///
    /// # Errors
    /// When the ring of messages cannot be read.
    pub fn print_log(&mut self) -> anyhow::Result<()> {
        kernel_log::print_in_background(&mut self.ebpf)
    }

    /// Begins to tell transitions. Listeners should be known by then.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin(&mut self) -> Result<(), StartError> {
        let name = transition_program(self.hook);
        let ebpf = &mut self.ebpf;
        let attached = match self.hook {
            Hook::Btf => program(ebpf, name)
                .and_then(<&mut BtfTracePoint>::try_from)
                .and_then(|program| program.attach().map(drop)),
            Hook::Tracepoint => tracefs::with(|| {
                let program: &mut TracePoint = program(ebpf, name)?.try_into()?;
                program.attach("sock", TRACEPOINT).map(drop)
            }),
        };
        attached.map_err(|error| refused(name, &error))
    }

    /// Puts the sockets that processes have open into the table, those that are not in it yet.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn seed(&mut self) -> io::Result<()> {
        if !self.seeds {
            return Ok(());
        }
        let program = self
            .ebpf
            .program_mut("seed")
            .ok_or(io::ErrorKind::NotFound)?;
        let program: &mut Iter = program.try_into().map_err(io::Error::other)?;
        let link = program.attach().map_err(io::Error::other)?;
        let link = program.take_link(link).map_err(io::Error::other)?;
        let mut file = link.into_file().map_err(io::Error::other)?;
        // It writes nothing; reading is what makes it run.
        io::copy(&mut file, &mut io::sink()).map(drop)
    }

    /// The buffer that transitions come out of; it can be had once.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_ring(&mut self) -> io::Result<RingBuf<MapData>> {
        let map = self.ebpf.take_map("TRANSITIONS");
        let map = map.ok_or(io::ErrorKind::NotFound)?;
        RingBuf::try_from(map).map_err(io::Error::other)
    }

    /// What the kernel side counted.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn counters(&self) -> io::Result<TrackCounters> {
        let map = self.ebpf.map("TRACK_COUNTERS");
        let map = map.ok_or(io::ErrorKind::NotFound)?;
        let map: PerCpuArray<_, TrackCounters> =
            PerCpuArray::try_from(map).map_err(io::Error::other)?;
        let mut sum = TrackCounters::default();
        for counters in map.get(&0, 0).map_err(io::Error::other)?.iter() {
            sum.written += counters.written;
            sum.lost += counters.lost;
            sum.untracked += counters.untracked;
            sum.told_by_stand_in += counters.told_by_stand_in;
            sum.unfollowed += counters.unfollowed;
            sum.counted += counters.counted;
            sum.unkeyed += counters.unkeyed;
            sum.full |= counters.full;
        }
        Ok(sum)
    }

    /// A map of the kernel side.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.ebpf.map(name)
    }

    /// Whether only those control groups are wanted that there were at the start.
    #[must_use]
    pub fn lists_cgroups(&self) -> bool {
        self.lists_cgroups
    }

    /// Whether owners matter.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// Attaches a second program that runs where the kernel skips the first. On a classic tracepoint
    /// it would skip both.
    pub fn stand_in(&mut self) {
        if self.hook != Hook::Btf {
            return;
        }
        // They were not kept, for they take more memory than all the rest.
        if let Ok(types) = TypeInfo::read_for_log() {
            // Without it, what is skipped is counted as before.
            let _ = attach_again(&mut self.ebpf, &types);
        }
    }

    /// Transitions that the kernel skipped (5.12 and later), also those that the stand-in told.
    #[must_use]
    pub fn skipped(&self) -> Option<u64> {
        match &self.stopped {
            Some(fd) => load::misses_of(fd),
            None => load::recursion_misses(&self.ebpf, transition_program(self.hook)),
        }
    }

    /// Ends the telling of transitions; the table stays as it is.
    pub fn stop(&mut self) {
        let fd = self.ebpf.program(transition_program(self.hook));
        let fd = fd.and_then(|program| program.fd().ok()?.try_clone().ok());
        self.stopped = fd;
        // The stand-in first, or it would stand in for good.
        for name in [AGAIN_PROGRAM, transition_program(self.hook)] {
            // A program that is unloaded is detached; one that was not loaded is neither.
            let _ = match self.ebpf.program_mut(name) {
                Some(Program::BtfTracePoint(program)) => program.unload(),
                Some(Program::TracePoint(program)) => program.unload(),
                _ => Ok(()),
            };
        }
    }

    /// Every socket in the table.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn table(&self) -> io::Result<Vec<TrackedSocket>> {
        let name = if self.preallocated {
            "TRACKED_PREALLOCATED"
        } else {
            "TRACKED"
        };
        match self.ebpf.map(name) {
            Some(Map::HashMap(map)) => watch_map::read_all(map.fd().as_fd()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Every descriptor of the sockets with these inodes, and maybe of others.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn holders(&mut self, inodes: &HashSet<u64>, mptcp: bool) -> io::Result<Found> {
        self.holders.find(&mut self.ebpf, inodes, mptcp)
    }
}

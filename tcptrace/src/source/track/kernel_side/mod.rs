//! The kernel side of `log` and `hist`, attached: choosing what works here, and reading its maps.

mod accept;
mod follow;
mod list;
mod options;
mod programs;

use std::{collections::HashSet, io, os::fd::AsFd as _};

pub use accept::accept_works;
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, RingBuf},
    programs::{ProgramError, ProgramFd},
};
pub use options::TrackOptions;
use tcptrace_common::{
    Passes, PidNumbers, TaskOffsets, TrackCounters, TrackSettings, TrackedSocket,
};

use crate::{
    model::{
        caveat::Caveat,
        request::{AcceptChoice, HookChoice},
        stuck::look::Hook,
    },
    source::{
        bpf::{
            attach::{Accept, Candidate, first_that_works},
            load,
            messages::{self, Say},
            program, read_map,
            types::TypeInfo,
        },
        diag::ask::Scope,
        error::{StartError, refusal},
        machine::{netns::Namespaces, restrictions},
        track::kernel_side::{
            follow::follow_processes,
            list::add_to_list,
            programs::{OPEN_SOCKETS_PROGRAM, transition_program},
        },
        walk::{
            Walker,
            level::{no_numbers, own_numbers},
            survey::Holders,
        },
    },
};

/// Whose numbers processes get.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// Those of a PID namespace: processes outside of it get none.
    pub nested: bool,
    /// Why no process gets one.
    pub unknown: Option<String>,
}

/// Where the numbers are; in the initial PID namespace this needs no type information.
fn numbers(types: Result<&TypeInfo, &String>) -> Result<PidNumbers, String> {
    own_numbers(&types.map_or_else(|_| TaskOffsets::default(), |types| types.settings.task))
}

/// The kernel side, attached until dropped.
pub struct KernelSide {
    ebpf: Ebpf,
    hook: Hook,
    accept: Accept,
    preallocated: bool,
    walker: Walker,
    wants_owners: bool,
    applies_cgroup: bool,
    lists_cgroups: bool,
    /// Whether it can find the sockets that processes already have open.
    adds_open_sockets: bool,
    numbers: Numbers,
    passes: Passes,
    /// Whether nothing tells who accepts, and that was not asked for.
    misses_accepts: bool,
    /// Whether only some processes are wanted.
    follows: bool,
    /// The program that reported transitions, after it was detached: its count remains.
    stopped: Option<ProgramFd>,
}

impl KernelSide {
    /// Loads all programs and attaches all except the one that reports transitions, in the ways
    /// that cost least.
    ///
    /// # Errors
    /// A [`StartError`] that says why it cannot be done.
    pub fn attach(options: &TrackOptions) -> Result<Self, StartError> {
        restrictions::lift_memory_limit();
        let types = TypeInfo::read_for_tracking();
        if let (Err(reason), 1..) = (&types, options.filter.netns)
            && options.hook != HookChoice::Btf
        {
            let reason = reason.clone();
            return Err(StartError::Namespace { reason });
        }
        let numbers = numbers(types.as_ref());
        let (numbers, unknown) = match numbers {
            Ok(numbers) => (numbers, None),
            Err(reason) if options.pids.is_empty() => (no_numbers(), Some(reason)),
            Err(reason) => return Err(StartError::Follow { reason }),
        };
        let candidates = options.candidates(types.is_ok());
        let types = types.as_ref();
        let mut side = first_that_works(options.hook, types, &candidates, |candidate| {
            Self::attach_as(candidate, options, types.ok(), numbers)
        })?;
        side.numbers = Numbers {
            nested: numbers.namespace != 0,
            unknown,
        };
        Ok(side)
    }

    /// The same for one candidate.
    fn attach_as(
        candidate: &Candidate,
        options: &TrackOptions,
        types: Option<&TypeInfo>,
        numbers: PidNumbers,
    ) -> Result<Self, StartError> {
        let Candidate { hook, accept, .. } = *candidate;
        let preallocated = programs::preallocated(candidate, types);
        let mut settings = programs::settings(candidate, options, types)?;
        settings.task.numbers = numbers;
        let sizes = programs::map_sizes(options, preallocated);
        let mut ebpf = load::object(settings, types, &sizes, options.messages)?;
        // What the kernel may refuse comes first, and what transitions need comes before they are
        // reported.
        accept::attach(accept, &mut ebpf, types, preallocated).map_err(|error| {
            StartError::Accept {
                way: accept.name(),
                reason: refusal(&error),
            }
        })?;
        let refused = |error: ProgramError| program::refused(transition_program(hook), &error);
        programs::load_transition(&mut ebpf, types, hook).map_err(refused)?;
        follow_processes(&mut ebpf, types, options, numbers.namespace != 0)?;
        add_to_list(&mut ebpf, "CGROUPS", options.cgroups.iter().copied()).map_err(refused)?;
        let wants_owners = options.wants_owners();
        if wants_owners {
            programs::attach_destroyed(&mut ebpf, types, hook).map_err(refused)?;
        }
        let adds_open_sockets = wants_owners
            && types.is_some_and(|types| programs::load_open_sockets(&mut ebpf, types).is_ok());
        let wanted = settings.track;
        Ok(Self {
            ebpf,
            hook,
            accept,
            preallocated,
            walker: Walker::start(options.walk, &options.listed_states())?,
            wants_owners,
            applies_cgroup: wanted.cgroup != 0,
            lists_cgroups: wanted.cgroup != 0 && wanted.cgroup_level == TrackSettings::BY_LIST,
            adds_open_sockets,
            numbers: Numbers::default(),
            passes: Passes::default(),
            misses_accepts: wants_owners
                && accept == Accept::Listener
                && options.accept != AcceptChoice::Listener,
            follows: !options.pids.is_empty(),
            stopped: None,
        })
    }

    /// How the kernel side works on this machine, for `-v`.
    #[must_use]
    pub fn describe(&self) -> String {
        let hook = match self.hook {
            Hook::Btf => "attached by tp_btf",
            Hook::Tracepoint => "attached by the classic tracepoint",
        };
        let accept = match self.accept {
            Accept::Fexit => "accepts are detected by fexit",
            Accept::Syscall => "accepts are detected by the system calls' tracepoints (syscall)",
            Accept::Listener => "accepts are not detected (listener)",
        };
        let earlier = if self.adds_open_sockets {
            "owners of sockets from before are found by a BPF iterator (seed)"
        } else {
            "sockets from before have no owner"
        };
        if !self.wants_owners {
            return format!("{hook}; owners are not needed");
        }
        let holders = self.walker.describe();
        format!("{hook}; {accept}; {earlier}; holders are found by {holders}")
    }

    /// The hook that it uses.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Gives the kernel side's messages to `say` from now on.
    ///
    /// # Errors
    /// When the ring of messages cannot be read.
    pub fn print_messages(&mut self, say: Say) -> anyhow::Result<()> {
        messages::print_in_background(&mut self.ebpf, say)
    }

    /// Begins to report transitions. Listeners should be known before this call.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin(&mut self) -> Result<(), StartError> {
        programs::attach_transition(&mut self.ebpf, self.hook)
            .map_err(|error| program::refused(transition_program(self.hook), &error))
    }

    /// A pass over all descriptors: adds the sockets that processes have open to the table, unless they are
    /// already in it, and finds the processes that have taken some over.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn find_holders(&mut self) -> io::Result<()> {
        if !self.adds_open_sockets {
            return Ok(());
        }
        self.passes.current += 1;
        self.write_passes()?;
        let mut file = program::open_iterator(&mut self.ebpf, OPEN_SOCKETS_PROGRAM)?;
        // The iterator writes nothing; reading makes it run.
        io::copy(&mut file, &mut io::sink())?;
        self.passes.last = self.passes.current;
        self.write_passes()
    }

    fn write_passes(&mut self) -> io::Result<()> {
        let map = self.ebpf.map_mut("PASSES").ok_or(io::ErrorKind::NotFound)?;
        let mut map: Array<_, Passes> = Array::try_from(map).map_err(io::Error::other)?;
        map.set(0, self.passes, 0).map_err(io::Error::other)
    }

    /// The number of the last complete pass.
    #[must_use]
    pub fn last_pass(&self) -> u32 {
        self.passes.last
    }

    /// The processes that are followed now: those that were asked for, and with `--children` their
    /// descendants. None if all processes are wanted.
    #[must_use]
    pub fn followed(&self) -> Option<HashSet<u32>> {
        let map = self.follows.then(|| self.ebpf.map("PIDS"))??;
        let map: HashMap<_, u32, u32> = HashMap::try_from(map).ok()?;
        Some(map.keys().flatten().collect())
    }

    /// The ring buffer of transitions; it can be taken once.
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
        let mut sum = TrackCounters::default();
        for counters in read_map::of_each_cpu::<TrackCounters>(&self.ebpf, "TRACK_COUNTERS")?.iter()
        {
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

    /// Whether the filter only covers control groups that existed at the start.
    #[must_use]
    pub fn lists_cgroups(&self) -> bool {
        self.lists_cgroups
    }

    /// Whether nothing tells who accepts, and that was not asked for.
    #[must_use]
    pub fn misses_accepts(&self) -> bool {
        self.misses_accepts
    }

    /// Whose numbers processes get.
    #[must_use]
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Whether the programs apply the filter by control group, which they know without its path.
    #[must_use]
    pub fn applies_cgroup(&self) -> bool {
        self.applies_cgroup
    }

    /// Whether owners matter.
    #[must_use]
    pub fn wants_owners(&self) -> bool {
        self.wants_owners
    }

    /// Attaches a second program that runs when the kernel skips the first. On a classic tracepoint
    /// the kernel would skip both.
    pub fn attach_second_program(&mut self) {
        if self.hook != Hook::Btf {
            return;
        }
        // The types were not kept, because they take more memory than everything else.
        if let Ok(types) = TypeInfo::read_for_tracking() {
            // Without the second program, skipped runs are counted as before.
            let _ = programs::attach_second(&mut self.ebpf, &types);
        }
    }

    /// Transitions that the kernel skipped (5.12 and later), including those that the second
    /// program reported.
    #[must_use]
    pub fn skipped(&self) -> Option<u64> {
        match &self.stopped {
            Some(fd) => program::misses_of(fd),
            None => program::recursion_misses(&self.ebpf, transition_program(self.hook)),
        }
    }

    /// Stops reporting transitions; the table stays as it is.
    pub fn stop(&mut self) {
        let fd = self.ebpf.program(transition_program(self.hook));
        let fd = fd.and_then(|program| program.fd().ok()?.try_clone().ok());
        self.stopped = fd;
        programs::detach_transition(&mut self.ebpf, self.hook);
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
            Some(Map::HashMap(map)) => read_map::read_all(map.fd().as_fd()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The namespaces of the machine, and what is to be said about them.
    ///
    /// # Errors
    /// When they cannot be found out.
    pub fn namespaces(&mut self, scope: &Scope) -> io::Result<(Namespaces, Option<Caveat>)> {
        self.walker.namespaces(scope)
    }

    /// Every descriptor of the sockets with these inodes, and possibly of others; and what waits in
    /// accept queues.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn holders(&mut self, inodes: &HashSet<u64>) -> io::Result<Holders> {
        self.walker.holders(inodes)
    }
}

//! The running machine as a source of looks.

use std::{
    collections::{HashMap, HashSet},
    io,
    panic::resume_unwind,
    thread,
    time::SystemTime,
};

use crate::{
    model::{
        caveat::Caveat,
        request::WalkChoice,
        socket::Endpoint,
        stuck::look::{Descriptors, Entered, Listed, Look, Tracing},
    },
    source::{
        diag::ask::Scope,
        error::StartError,
        machine::{
            arguments::Arguments, cgroup::Cgroups, clock::monotonic_ns, process, restrictions,
        },
        walk::{Walker, places::Before, survey::Survey},
        watch::{kernel_side::KernelSide, options::WatchOptions},
    },
};

/// The running machine.
pub struct Live {
    /// Sees sockets enter the state; none for a single look.
    kernel: Option<KernelSide>,
    walker: Walker,
    scope: Scope,
    cgroups: Cgroups,
    arguments: Arguments,
    /// What this process may not do.
    privileges: Option<Caveat>,
    /// What was read for the first look while the walk was being loaded, and when that began.
    first: Option<(SystemTime, u64, Before)>,
}

impl Live {
    /// Attaches the kernel side. Looks then see every later transition and the sockets from before.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &WatchOptions,
        walk: WalkChoice,
        scope: Scope,
        privileges: Option<Caveat>,
    ) -> Result<Self, StartError> {
        let kernel = KernelSide::attach(options)?;
        let mut live = Self::once(walk, scope, privileges)?;
        live.kernel = Some(kernel);
        Ok(live)
    }

    /// Attaches nothing: for a single look.
    ///
    /// # Errors
    /// When the user chose a way to walk that does not work.
    pub fn once(
        walk: WalkChoice,
        scope: Scope,
        privileges: Option<Caveat>,
    ) -> Result<Self, StartError> {
        restrictions::lift_memory_limit();
        let (time, now_ns) = (SystemTime::now(), monotonic_ns());
        let (walker, before) = thread::scope(|threads| {
            let before = threads.spawn(|| Before::read(&scope));
            let walker = Walker::start(walk, &[scope.state]);
            let before = before.join();
            (walker, before.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        Ok(Self {
            kernel: None,
            walker: walker?,
            scope,
            cgroups: Cgroups::default(),
            arguments: Arguments::default(),
            privileges,
            first: before.ok().map(|before| (time, now_ns, before)),
        })
    }

    /// The kernel side that sees transitions, if there is one.
    pub fn kernel(&mut self) -> Option<&mut KernelSide> {
        self.kernel.as_mut()
    }

    /// How this works on this machine, for `-v`.
    #[must_use]
    pub fn describe(&self) -> String {
        let attached = self.kernel.as_ref().map(KernelSide::describe);
        let attached = attached.unwrap_or("nothing is attached");
        let walk = self.walker.describe();
        format!("{attached}; sockets and their holders are found by {walk}")
    }

    /// Looks at the machine.
    ///
    /// # Errors
    /// When the map or `/proc` cannot be read, or the walk fails. An error that only concerns single
    /// sockets, processes or namespaces leaves these unknown.
    pub fn look(&mut self) -> io::Result<Look> {
        // Everything is read after this moment, so the look includes everything that is true at it.
        let (time, now_ns, before) = match self.first.take() {
            Some(first) => first,
            None => (
                SystemTime::now(),
                monotonic_ns(),
                Before::read(&self.scope)?,
            ),
        };
        // The map first: a socket that is in the map and then not found has left the state.
        let seen = self.tracing()?;
        let (entered, mut later): (Vec<_>, Vec<_>) =
            (self.entered(&seen)?.into_iter()).partition(|socket| socket.since_ns <= now_ns);
        let survey = self.walker.survey(&self.scope, before)?;
        // A socket that entered meanwhile belongs to the next look.
        let now = self.tracing()?;
        if now.entered != seen.entered {
            later = self.entered(&now)?;
            later.retain(|socket| socket.since_ns > now_ns);
        }
        let Survey {
            mut listed,
            listening,
            waiting,
            dead,
            held,
            coverage,
            looked,
            netns_names,
            mut caveats,
            ..
        } = survey;
        if !later.is_empty() {
            let index = Later::new(&later);
            listed.retain(|socket| !index.has(socket));
        }
        let mut exits = Vec::new();
        if let Some(kernel) = &mut self.kernel {
            exits = kernel.exits(now_ns);
            let unreported = kernel.unreported_exits()?;
            caveats.extend((unreported > 0).then_some(Caveat::UnreportedExits(unreported)));
        }
        let mut look = Look {
            time,
            monotonic_ns: now_ns,
            entered,
            exits,
            listed,
            coverage,
            looked,
            listening,
            waiting,
            dead,
            in_pid_namespace: held.is_some()
                && caveats.contains(&Caveat::PidNamespace)
                && !caveats.contains(&Caveat::UnreadDescriptors),
            held,
            processes: HashMap::new(),
            cgroups: HashMap::new(),
            netns_names,
            tracing: self.tracing()?,
            caveats,
        };
        self.describe_processes(&mut look);
        look.caveats.extend(self.privileges.clone());
        Ok(look)
    }

    fn tracing(&self) -> io::Result<Tracing> {
        let tracing = self.kernel.as_ref().map(KernelSide::tracing);
        tracing.unwrap_or_else(|| Ok(Tracing::default()))
    }

    fn entered(&self, tracing: &Tracing) -> io::Result<Vec<Entered>> {
        let Some(kernel) = &self.kernel else {
            return Ok(Vec::new());
        };
        // Walking a million empty buckets takes 4 ms.
        if tracing.entered == tracing.left {
            return Ok(Vec::new());
        }
        kernel.watched()
    }

    /// Fills in information about the processes that hold what the look shows.
    fn describe_processes(&mut self, look: &mut Look) {
        let listed = look.listed.iter().map(|socket| socket.details.inode);
        let dead = look
            .dead
            .iter()
            .flatten()
            .map(|socket| socket.listed.details.inode);
        let ports: HashSet<_> = (look.listed.iter())
            .map(|socket| (socket.netns, socket.local.port))
            .collect();
        let listeners = (look.listening.iter())
            .filter(|one| one.queued > 0 || ports.contains(&(one.netns, one.local.port)));
        let shown: HashSet<u64> = listed
            .chain(dead)
            .chain(listeners.map(|one| one.inode))
            .map(u64::from)
            .collect();
        if let Some(held) = &mut look.held {
            held.retain(|one| shown.contains(&one.inode));
        }
        let held = look.held.iter().flat_map(Descriptors::all);
        look.processes = process::infos(held.map(|held| held.holder.pid));
        let all: HashSet<_> = (look.processes.iter())
            .map(|(pid, info)| (*pid, info.started))
            .collect();
        self.arguments.read(&all);
        for (pid, info) in &mut look.processes {
            info.arguments = self.arguments.of((*pid, info.started)).to_vec();
        }
        let listed = (look.listed.iter()).filter_map(|socket| socket.details.cgroup_id);
        let dead = look.dead.iter().flatten();
        let dead = dead.filter_map(|socket| socket.listed.details.cgroup_id);
        look.cgroups = self.cgroups.paths(listed.chain(dead));
    }
}

/// Sockets that entered the state during a look.
struct Later {
    cookies: HashSet<u64>,
    places: HashSet<(Endpoint, Endpoint)>,
}

impl Later {
    fn new(entered: &[Entered]) -> Self {
        let nameless = entered.iter().filter(|socket| socket.cookie.is_none());
        Self {
            cookies: entered.iter().filter_map(|socket| socket.cookie).collect(),
            places: nameless
                .map(|socket| (socket.local, socket.remote))
                .collect(),
        }
    }

    fn has(&self, socket: &Listed) -> bool {
        let by_cookie = socket.cookie.is_some_and(|id| self.cookies.contains(&id));
        by_cookie || self.places.contains(&(socket.local, socket.remote))
    }
}

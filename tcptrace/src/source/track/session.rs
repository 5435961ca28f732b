//! The running machine as a source of transitions, from start to end.

use std::{
    collections::{HashMap, HashSet},
    io, mem, thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcptrace_common::{TcpState, TrackCounters, UsedTransitionRecord};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    model::{
        caveat::Caveat,
        owner::Process,
        stuck::look::Descriptors,
        track::{BeforeStart, OpenSockets, SeenTransition},
        transition::Loss,
    },
    source::{
        diag::ask::{self, Answers, Scope},
        machine::cgroup::Cgroups,
        track::{
            convert::{self, Moment},
            groups,
            kernel_side::{KernelSide, TrackOptions},
            processes::Processes,
        },
        walk::survey::Holders,
    },
};

/// Records taken out of the buffer at once: so many stay in the processor's cache.
const BATCH: usize = 1024;
/// How long after a pass over descriptors the next one begins, at least; and how many times as long as it took:
/// passes take at most a hundredth of the time.
const BETWEEN_PASSES: Duration = Duration::from_millis(250);
const REST: u32 = 100;
/// How often to check whether a record is finished, and how long to wait in between: ten seconds in
/// total, for a very slow machine.
const ATTEMPTS: u32 = 10_000;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

/// Transitions that are being traced.
pub struct LiveTransitions {
    side: KernelSide,
    ring: AsyncFd<RingBuf<MapData>>,
    scope: Scope,
    processes: Processes,
    /// For reports and for the end, when nothing waits to be read.
    cgroups: Cgroups,
    /// Control groups of keys whose paths were not known at the last count.
    pub(super) unnamed_keys: u64,
    /// How long the reader may wait for paths of control groups while few records come.
    patience: Duration,
    batch: Vec<UsedTransitionRecord>,
    counted: TrackCounters,
    skipped: u64,
    /// When a socket or a run was lost last, in ns of `CLOCK_MONOTONIC`.
    lost_ns: u64,
    /// When to look again who has sockets open.
    next_pass: Instant,
    /// When tracing stopped, once it has stopped.
    stopped: Option<Moment>,
    /// Whether the second program is attached that runs when the kernel skips the first.
    has_second_program: bool,
}

/// The result of one read.
pub struct Batch<'a> {
    /// What was lost up to then: before or while these transitions were seen.
    pub loss: Option<Loss>,
    /// Whether there may be more to read.
    pub more: bool,
    records: &'a [UsedTransitionRecord],
    processes: &'a mut Processes,
    now: Moment,
}

impl Batch<'_> {
    /// The transitions, in the order in which each processor saw them.
    pub fn transitions(&mut self) -> impl Iterator<Item = SeenTransition> {
        let (now, processes) = (self.now, &mut *self.processes);
        let records = self.records.iter();
        records.filter_map(move |record| convert::transition(record, now, processes))
    }
}

impl LiveTransitions {
    /// Attaches the kernel side and lists the sockets that already exist; `caveats` receives what
    /// could not be found out.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &TrackOptions,
        scope: Scope,
        caveats: &mut Vec<Caveat>,
    ) -> anyhow::Result<(Self, BeforeStart)> {
        let mut side = KernelSide::attach(options)?;
        let ring = side.take_ring().context("taking the ring buffer")?;
        // SAFETY: the ring owns its descriptor, returns the same one each time, and is dropped only
        // together with the registration.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        let ring = ring.context("watching the ring buffer")?;
        let numbers = side.numbers();
        match &numbers.unknown {
            _ if !side.wants_owners() => {}
            Some(reason) => caveats.push(Caveat::NoProcessNumbers(reason.clone())),
            None if numbers.nested => caveats.push(Caveat::PidNamespace),
            None => {}
        }
        if side.misses_accepts() {
            caveats.push(Caveat::AcceptsNotSeen);
        }
        if side.lists_cgroups() {
            caveats.push(Caveat::NewControlGroupsLeftOut);
        }
        // Listing gives sockets their cookies, which the walk after it reads. Listeners must be
        // known before the first connection is reported; a second walk finds sockets that appeared
        // in the meantime.
        let owned = side.wants_owners();
        let (listed, walked) = (
            "listing the sockets from before the start",
            "finding the owners of the sockets from before the start",
        );
        if owned {
            list(&mut side, &scope, &mut Vec::new()).context(listed)?;
            side.find_holders().context(walked)?;
        }
        side.begin()?;
        let mut before = list(&mut side, &scope, caveats).context(listed)?;
        if owned {
            side.find_holders().context(walked)?;
            add_queues(&mut side, &mut before);
        }
        let skipped = side.skipped().unwrap_or(0);
        let live = Self {
            side,
            ring,
            scope,
            processes: Processes::new(options.name_cgroups),
            cgroups: Cgroups::default(),
            unnamed_keys: 0,
            patience: groups::patience(options.buffer),
            batch: Vec::with_capacity(BATCH),
            counted: TrackCounters::default(),
            skipped,
            lost_ns: 0,
            next_pass: Instant::now() + BETWEEN_PASSES,
            stopped: None,
            has_second_program: false,
        };
        Ok((live, before))
    }

    /// The kernel side.
    pub fn side(&mut self) -> &mut KernelSide {
        &mut self.side
    }

    /// Waits until many records wait to be read. A few records do not wake the reader, so read from
    /// time to time anyway.
    pub async fn woken(&self) {
        match self.ring.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            // Without it, the caller's timer alone triggers reading.
            Err(_) => std::future::pending().await,
        }
    }

    /// Reads the records that wait, up to one batch.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn read(&mut self) -> io::Result<Batch<'_>> {
        if self.stopped.is_none() && Instant::now() >= self.next_pass {
            self.find_holders()?;
        }
        self.batch.clear();
        let ring = self.ring.get_mut();
        while self.batch.len() < BATCH
            && let Some(item) = ring.next()
        {
            self.batch.extend(convert::parse(&item));
        }
        self.ask_for_groups();
        // After the records: now all losses before them are known, and these decide whether the
        // times in the records are certain.
        let now = Moment::now();
        let loss = self.loss(now)?;
        Ok(Batch {
            loss,
            more: self.batch.len() == BATCH,
            records: &self.batch,
            processes: &mut self.processes,
            now,
        })
    }

    /// Asks for the control groups of the owners in the batch.
    fn ask_for_groups(&mut self) {
        let asked = self.processes.groups();
        let records = self.batch.iter();
        let ids = records.flat_map(|one| [one.transition.owner.cgroup, one.user.cgroup]);
        match (self.stopped, self.batch.len() == BATCH) {
            (Some(_), _) => asked.ask(ids, groups::AT_END),
            (None, false) => asked.ask(ids, self.patience),
            (None, true) => asked.ask(ids, self.patience / 50),
        }
    }

    /// How often the path of an owner's control group was not known; where durations are counted by group, also of
    /// how many groups.
    pub fn unnamed_groups(&mut self) -> u64 {
        self.unnamed_keys + self.processes.groups().unnamed()
    }

    /// Looks who has sockets open, so that transitions name who has taken some over.
    fn find_holders(&mut self) -> io::Result<()> {
        let began = Instant::now();
        if self.side.wants_owners() {
            self.side.find_holders()?;
        }
        let rest = began.elapsed().saturating_mul(REST).max(BETWEEN_PASSES);
        self.next_pass = Instant::now() + rest;
        Ok(())
    }

    /// What was lost since the last time.
    fn loss(&mut self, now: Moment) -> io::Result<Option<Loss>> {
        // In this order, because the second program reports a skipped transition a moment later.
        let skipped = self.side.skipped().unwrap_or(0);
        let counted = self.side.counters()?;
        if skipped > 0 && !mem::replace(&mut self.has_second_program, true) {
            self.side.attach_second_program();
        }
        let skipped = skipped
            .saturating_sub(counted.told_by_stand_in)
            .max(self.skipped);
        let loss = Loss {
            time: now.time,
            monotonic_ns: now.monotonic_ns,
            transitions: counted.lost.saturating_sub(self.counted.lost),
            sockets: counted.untracked.saturating_sub(self.counted.untracked),
            runs: skipped.saturating_sub(self.skipped),
        };
        (self.counted, self.skipped) = (counted, skipped);
        if loss.sockets + loss.runs > 0 {
            self.lost_ns = now.monotonic_ns;
        }
        let any = loss.transitions + loss.sockets + loss.runs > 0;
        Ok(any.then_some(loss))
    }

    /// Stops tracing, and gives the remaining records to `each`.
    ///
    /// # Errors
    /// When something cannot be read, or an error from `each`.
    pub fn stop(&mut self, each: &mut dyn FnMut(Batch<'_>) -> io::Result<()>) -> io::Result<()> {
        // At most as many as the buffer holds: on a busy machine new records would arrive forever.
        self.side.stop();
        self.stopped = Some(Moment::now());
        // A detached program may still be writing on another CPU, and the records behind an
        // unfinished one cannot be read.
        for _ in 0..ATTEMPTS {
            loop {
                let batch = self.read()?;
                let more = batch.more;
                each(batch)?;
                if !more {
                    break;
                }
            }
            if !self.is_written_to()? {
                return Ok(());
            }
            thread::sleep(BETWEEN_ATTEMPTS);
        }
        Err(io::Error::other(
            "a record in the ring buffer was not finished: the records after it are lost",
        ))
    }

    /// Whether there is something in the buffer that cannot be read yet.
    fn is_written_to(&self) -> io::Result<bool> {
        // The kernel also counts reserved records (`ringbuf_map_poll_kern`).
        let mut ring = [PollFd::new(&self.ring, PollFlags::IN)];
        Ok(poll(&mut ring, Some(&Timespec::default()))? > 0)
    }

    /// The sockets that are in one of these states now, or were in one when tracing stopped.
    ///
    /// # Errors
    /// When the table or `/proc` cannot be read.
    pub fn open(&mut self, states: &[TcpState]) -> io::Result<OpenSockets> {
        let now = self.stopped.unwrap_or_else(Moment::now);
        self.find_holders()?;
        let (namespaces, unentered) = self.side.namespaces(&self.scope)?;
        let mut answers = ask::in_states(&self.scope, states, &namespaces);
        // Read after the list, so that it includes everything that is listed.
        let everything = self.side.table()?;
        let asked_about = |state: u32| states.iter().any(|s| u32::from(s.number()) == state);
        let entries = everything.iter().filter(|entry| asked_about(entry.state));
        let last_pass = self.side.last_pass();
        let processes = &mut self.processes;
        let shown = (everything.iter())
            .filter(|entry| asked_about(entry.state) || entry.residue_of().is_some());
        let owners = shown.flat_map(|raw| [Some(raw.owner()), raw.user(last_pass)]);
        let ids = owners.flatten().map(|owner| owner.cgroup);
        let patience = self.stopped.map_or(groups::PATIENCE, |_| groups::AT_END);
        processes.groups().ask_at_ease(ids, patience);
        let residue = (everything.iter()).filter(|entry| entry.residue_of().is_some());
        let residue = residue
            .filter_map(|raw| convert::entry(raw, last_pass, processes))
            .collect();
        let table = entries
            .filter_map(|raw| convert::entry(raw, last_pass, processes))
            .collect();
        let mut known = HashMap::new();
        for raw in &everything {
            let owner = raw.owner();
            // A number may have been given again: then the later process has it.
            let earlier = known.get(&owner.pid).map(|one: &Process| one.started_ns);
            if owner.pid != 0 && earlier.is_none_or(|earlier| earlier < Some(owner.started_ns)) {
                known.extend(
                    processes
                        .owner(owner)
                        .map(|known| (owner.pid, known.process)),
                );
            }
        }
        let listed = answers.listed.iter().map(|socket| socket.details.inode);
        let listening = answers.listening.iter().map(|socket| socket.inode);
        let inodes: HashSet<u64> = listed.chain(listening).map(u64::from).collect();
        let (mut descriptors, mut waiting) = (None, Vec::new());
        let unasked = !answers.caveats.is_empty() || unentered.is_some();
        let owned = self.side.wants_owners() && !inodes.is_empty();
        if (owned || unasked)
            && let Ok(mut found) = self.side.holders(&inodes)
        {
            found.listed.retain(|one| states.contains(&one.state));
            add_unasked(&self.scope, &mut answers, &mut found);
            waiting = found.waiting;
            if self.side.wants_owners() {
                descriptors = Some(Descriptors::new(found.held));
            }
        }
        Ok(OpenSockets {
            time: now.time,
            monotonic_ns: now.monotonic_ns,
            states: states.to_vec(),
            table,
            residue,
            listed: answers.listed,
            listening: answers.listening,
            waiting,
            coverage: answers.coverage,
            descriptors,
            known,
            followed: self.side.followed(),
            lost_ns: self.lost_ns,
        })
    }

    /// The kernel side's counters as of the last read.
    #[must_use]
    pub fn counted(&self) -> TrackCounters {
        self.counted
    }

    /// Paths of control groups.
    pub fn cgroups(&mut self) -> &mut Cgroups {
        &mut self.cgroups
    }
}

/// Lists all sockets. This also gives every socket a cookie, which the programs can only read.
fn list(
    side: &mut KernelSide,
    scope: &Scope,
    caveats: &mut Vec<Caveat>,
) -> io::Result<BeforeStart> {
    let (namespaces, unentered) = side.namespaces(scope)?;
    let mut answers = ask::everything(scope, &namespaces);
    if !answers.caveats.is_empty() || unentered.is_some() {
        let mut found = side.holders(&HashSet::new())?;
        add_unasked(scope, &mut answers, &mut found);
    }
    caveats.extend(answers.caveats);
    caveats.extend(unentered);
    Ok(BeforeStart {
        listed: answers.listed,
        listening: answers.listening,
        waiting: Vec::new(),
        descriptors: None,
    })
}

/// Adds the sockets in namespaces that could not be asked, as far as a process has them open.
fn add_unasked(scope: &Scope, answers: &mut Answers, found: &mut Holders) {
    let covered = &answers.coverage.complete;
    let is_new =
        |netns: u32| !covered.contains(&netns) && scope.netns.is_none_or(|wanted| wanted == netns);
    let listed = found.listed.drain(..).filter(|one| is_new(one.netns));
    answers.listed.extend(listed);
    let listening = found.listening.drain(..).filter(|one| is_new(one.netns));
    answers.listening.extend(listening);
}

/// Adds the queues of listeners and their holders, if there are sockets that no process has accepted.
fn add_queues(side: &mut KernelSide, before: &mut BeforeStart) {
    let unaccepted = |inode: u32| inode == 0;
    let waits = (before.listed.iter()).any(|socket| unaccepted(socket.details.inode));
    let listeners = before.listening.iter();
    let inodes: HashSet<u64> = listeners.map(|socket| socket.inode.into()).collect();
    if !waits || inodes.is_empty() {
        return;
    }
    // Otherwise they stay unknown.
    if let Ok(found) = side.holders(&inodes) {
        before.descriptors = Some(Descriptors::new(found.held));
        before.waiting = found.waiting;
    }
}

//! A log from start to end.

use std::{io, mem, thread, time::Duration};

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcptrace_common::{TcpState, TrackCounters, TransitionRecord};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    super::{ask::Scope, cgroup::Cgroups},
    before::Before,
    convert::{Converter, Moment},
    open::{self, Asked},
    options::LogOptions,
    side::LogSide,
};
use crate::model::transition::{Loss, Record, StillOpen};

/// Records taken out of the buffer at once: they stay in the processor's cache.
const BATCH: usize = 1024;
/// How often it is looked whether a record is finished, and how long to wait in between: ten seconds
/// in all, on a machine that hardly runs.
const ATTEMPTS: u32 = 10_000;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

/// A log that is being taken.
pub struct LiveLog {
    side: LogSide,
    ring: AsyncFd<RingBuf<MapData>>,
    scope: Scope,
    pids: Vec<u32>,
    converter: Converter,
    batch: Vec<TransitionRecord>,
    counted: TrackCounters,
    skipped: u64,
    /// When a socket or a run was lost last, in ns of `CLOCK_MONOTONIC`.
    lost_ns: u64,
    /// When it saw the last, once it sees no more.
    stopped: Option<Moment>,
    /// Whether a second program runs where the kernel skips the first.
    stands_in: bool,
}

impl LiveLog {
    /// Attaches the kernel side and finds out what is there already; `notes` gets what could not be
    /// found out.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &LogOptions,
        scope: Scope,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut side = LogSide::attach(options)?;
        let ring = side.take_ring().context("taking the ring buffer")?;
        // SAFETY: the ring owns its descriptor, gives the same one each time, and is dropped only
        // with the registration.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        let ring = ring.context("watching the ring buffer")?;
        if side.lists_cgroups() {
            let made = "control groups that are made from now on are left out";
            notes.push(format!("{made}: this kernel cannot tell what they are in"));
        }
        // A list gives sockets their cookies, which the walk after it reads. Listeners must be
        // known before the first connection is told; what came meanwhile is found by a second walk.
        let owned = side.is_owned();
        let walked = "finding whose the sockets from before are";
        if owned {
            Before::list(&scope, &mut Vec::new()).context("listing the sockets from before")?;
            side.seed().context(walked)?;
        }
        side.begin()?;
        let (mut before, listed, listening) =
            Before::list(&scope, notes).context("listing the sockets from before")?;
        if owned {
            side.seed().context(walked)?;
            before.find_listeners(&mut side, &listed, &listening);
        }
        let skipped = side.skipped().unwrap_or(0);
        Ok(Self {
            side,
            ring,
            scope,
            pids: options.pids.clone(),
            converter: Converter {
                before,
                ..Converter::default()
            },
            batch: Vec::with_capacity(BATCH),
            counted: TrackCounters::default(),
            skipped,
            lost_ns: 0,
            stopped: None,
            stands_in: false,
        })
    }

    /// The kernel side.
    pub fn side(&mut self) -> &mut LogSide {
        &mut self.side
    }

    /// Waits until much waits to be read. For little nobody is woken: come from time to time.
    pub async fn much_waits(&self) {
        match self.ring.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            // Then there is only the time.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives what waits to `each`, up to a batch; whether there may be more.
    ///
    /// # Errors
    /// When the counters cannot be read, or what `each` gives.
    pub fn read(&mut self, each: &mut dyn FnMut(&Record) -> io::Result<()>) -> io::Result<bool> {
        let mut batch = mem::take(&mut self.batch);
        batch.clear();
        let ring = self.ring.get_mut();
        while batch.len() < BATCH
            && let Some(item) = ring.next()
        {
            batch.extend(parse(&item));
        }
        // After what was read: what was lost before it is known by now, and what it says of times
        // is believed or not. Told after it, too, for it was lost at some time until now.
        let now = Moment::now();
        let loss = self.loss(now)?;
        if loss.as_ref().is_some_and(|loss| loss.runs > 0) {
            self.converter.in_doubt_before_ns = now.monotonic_ns;
        }
        for record in &batch {
            if let Some(transition) = self.converter.transition(record, now) {
                each(&Record::Transition(transition))?;
            }
        }
        if let Some(loss) = loss {
            each(&Record::Loss(loss))?;
        }
        let more = batch.len() == BATCH;
        self.batch = batch;
        Ok(more)
    }

    /// What was lost since the last time.
    fn loss(&mut self, now: Moment) -> io::Result<Option<Loss>> {
        // In this order, for what is skipped is told by the stand-in a moment later.
        let skipped = self.side.skipped().unwrap_or(0);
        let counted = self.side.counters()?;
        if skipped > 0 && !mem::replace(&mut self.stands_in, true) {
            self.side.stand_in();
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

    /// Gives the rest of what waits to `each`, and then the sockets that are still in the state.
    ///
    /// # Errors
    /// When something cannot be read, or what `each` gives.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Record) -> io::Result<()>) -> io::Result<()> {
        self.stop(each)?;
        let open = self.still_open(&[self.scope.state])?;
        open.into_iter()
            .try_for_each(|open| each(&Record::StillOpen(open)))
    }

    /// Sees no more, and gives the rest of what waits to `each`.
    ///
    /// # Errors
    /// When something cannot be read, or what `each` gives.
    pub fn stop(&mut self, each: &mut dyn FnMut(&Record) -> io::Result<()>) -> io::Result<()> {
        // No more than there was room for: on a busy machine more would come for ever.
        self.side.stop();
        self.stopped = Some(Moment::now());
        // A program that was detached may still be writing on another CPU, and what lies behind its
        // record cannot be read before that one.
        for _ in 0..ATTEMPTS {
            while self.read(each)? {}
            if !self.is_written_to()? {
                return Ok(());
            }
            thread::sleep(BETWEEN_ATTEMPTS);
        }
        Err(io::Error::other(
            "a record in the ring buffer is not finished: what follows it is lost",
        ))
    }

    /// Whether there is something in the buffer that cannot be read yet.
    fn is_written_to(&self) -> io::Result<bool> {
        // The kernel counts what is reserved, too (`ringbuf_map_poll_kern`).
        let mut ring = [PollFd::new(&self.ring, PollFlags::IN)];
        Ok(poll(&mut ring, Some(&Timespec::default()))? > 0)
    }

    /// The sockets that are in one of these states now, or were when the last was seen.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn still_open(&mut self, states: &[TcpState]) -> io::Result<Vec<StillOpen>> {
        let asked = Asked {
            scope: &self.scope,
            states,
            pids: &self.pids,
            lost_ns: self.lost_ns,
            now: self.stopped.unwrap_or_else(Moment::now),
        };
        open::still_open(&mut self.side, &mut self.converter, &asked)
    }

    /// What the kernel side had counted when it was read last.
    #[must_use]
    pub fn counted(&self) -> TrackCounters {
        self.counted
    }

    /// Paths of control groups.
    pub fn cgroups(&mut self) -> &mut Cgroups {
        self.converter.names.cgroups()
    }
}

/// A record as it lies in memory; `None` for one of another size, which is no record of ours.
fn parse(item: &[u8]) -> Option<TransitionRecord> {
    if item.len() != size_of::<TransitionRecord>() {
        return None;
    }
    // SAFETY: as many bytes as the record has, of integers without padding, at any alignment.
    Some(unsafe { item.as_ptr().cast::<TransitionRecord>().read_unaligned() })
}

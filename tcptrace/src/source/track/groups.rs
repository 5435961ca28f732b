//! Paths of control groups for the reader of transitions. A look at the hierarchy may wait for a process that
//! makes or removes a group, and where groups cannot be asked for by number it takes long: so a thread looks, and
//! the reader waits for it only as long as the buffer surely has room.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    model::sandbox::Capability,
    source::machine::{
        cgroup::{self, Cgroups, Recent},
        sandbox,
    },
};

/// How long the reader may wait for paths at most.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// The same once tracing has stopped, for a slow machine: nothing can be lost any more.
pub const AT_END: Duration = Duration::from_secs(1);
/// With a buffer of so many bytes it may wait as long while few records come, and with a smaller one less.
const ROOM: u32 = 4 << 20;

/// How long the reader may wait for paths while few records come into a buffer of this size.
#[must_use]
pub fn patience(buffer: u32) -> Duration {
    PATIENCE.saturating_mul(buffer.min(ROOM) >> 10) / (ROOM >> 10)
}

/// Groups that are kept at least, and of which the thread may be asked at a time.
const KEPT: usize = 1 << 14;
const MOST_ASKED: usize = 1 << 12;
/// How many times as long as the reader has waited it does not wait again.
const REST: u32 = 9;
/// Groups of the same batch that need no second look into what is kept.
const SEEN: usize = 64;

/// What the thread says: `None` for a group that was removed.
type Path = Option<Arc<str>>;

/// The groups that are known.
#[derive(Debug)]
pub struct Groups {
    /// `None` if nobody needs paths.
    thread: Option<Thread>,
    known: Recent<u64, Path>,
    asked: HashSet<u64>,
    next_wait: Instant,
    unnamed: u64,
}

/// The thread, which ends with this.
#[derive(Debug)]
struct Thread {
    ask: SyncSender<u64>,
    answers: Receiver<(u64, Path)>,
}

impl Thread {
    /// `None` if no thread can be started: then no group is known.
    fn start() -> Option<Self> {
        let (ask, asked) = mpsc::sync_channel(MOST_ASKED);
        let (answer, answers) = mpsc::channel();
        let (begin, begun) = mpsc::sync_channel(1);
        // Before it has less than this thread.
        cgroup::find_by_mounting();
        let look = move || {
            // Where this is refused, the command says so of the other threads.
            let _ = sandbox::give_up_capabilities(&[Capability::DacReadSearch]);
            let _ = begin.send(());
            let mut cgroups = Cgroups::default();
            for id in asked {
                let path = loop {
                    match cgroups.look_up(id) {
                        Some(path) => break path,
                        None => thread::sleep(cgroups.rest()),
                    }
                };
                if answer.send((id, path)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("control groups".into());
        thread.spawn(look).ok()?;
        begun.recv().ok()?;
        Some(Self { ask, answers })
    }
}

impl Groups {
    /// Nothing is known yet; `wanted`: whether anybody needs paths.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self {
            thread: wanted.then(Thread::start).flatten(),
            known: Recent::new(KEPT),
            asked: HashSet::new(),
            next_wait: Instant::now(),
            unnamed: 0,
        }
    }

    /// Whether anybody needs paths.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.thread.is_some()
    }

    /// Asks for the groups with these ids, and waits at most so long for what is not known: altogether a tenth of
    /// the time.
    pub fn ask(&mut self, ids: impl Iterator<Item = u64>, patience: Duration) {
        let begin = Instant::now();
        let rests = begin < self.next_wait;
        if self.wait_for(ids, if rests { Duration::ZERO } else { patience }) {
            self.next_wait = Instant::now() + begin.elapsed().saturating_mul(REST);
        }
    }

    /// The same where nothing can be lost meanwhile.
    pub fn ask_at_ease(&mut self, ids: impl Iterator<Item = u64>, patience: Duration) {
        self.wait_for(ids, patience);
    }

    /// Whether anything had to be waited for.
    fn wait_for(&mut self, ids: impl Iterator<Item = u64>, patience: Duration) -> bool {
        let Some(Thread { ask, answers }) = &self.thread else {
            return false;
        };
        for (id, path) in answers.try_iter() {
            self.asked.remove(&id);
            self.known.insert(id, path);
        }
        let (mut missing, mut seen) = (HashSet::new(), [0; SEEN]);
        for id in ids.filter(|id| *id != 0) {
            #[allow(clippy::cast_possible_truncation)] // the rest is small
            let seen = &mut seen[(id % SEEN as u64) as usize];
            if *seen == id {
                continue;
            }
            if self.known.get(id).is_some() {
                *seen = id;
                continue;
            }
            // Where too much is asked already, it stays unknown for now.
            let room = self.asked.len() < MOST_ASKED;
            if self.asked.contains(&id) || (room && ask.try_send(id).is_ok()) {
                self.asked.insert(id);
                missing.insert(id);
            }
        }
        if missing.is_empty() {
            return false;
        }
        let until = Instant::now() + patience;
        while !missing.is_empty()
            && let Ok((id, path)) =
                answers.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            missing.remove(&id);
            self.asked.remove(&id);
            self.known.insert(id, path);
        }
        true
    }

    /// The path of a group that was asked for; `None`, which is counted, if it is not known.
    pub fn path(&mut self, id: u64) -> Path {
        if !self.are_wanted() {
            return None;
        }
        let path = self.known.get(id).flatten();
        self.unnamed += u64::from(path.is_none());
        path
    }

    /// How often a path was not known.
    #[must_use]
    pub fn unnamed(&self) -> u64 {
        self.unnamed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_what_nobody_wants_or_what_is_none() {
        let begin = Instant::now();
        let patience = Duration::from_secs(5);
        let mut unwanted = Groups::new(false);
        unwanted.ask([7, 8].into_iter(), patience);
        assert_eq!((unwanted.path(7), unwanted.unnamed()), (None, 0));
        let mut wanted = Groups::new(true);
        wanted.ask([0, 0].into_iter(), patience);
        assert!(begin.elapsed() < patience);
    }

    #[test]
    fn what_no_group_has_is_counted_and_not_asked_for_again() {
        let mut groups = Groups::new(true);
        // Whether it is asked for by number or looked for, no group has it.
        groups.ask_at_ease([u64::MAX].into_iter(), Duration::from_secs(20));
        assert_eq!((groups.path(u64::MAX), groups.unnamed()), (None, 1));
        assert!(groups.asked.is_empty());
        let begin = Instant::now();
        groups.ask_at_ease([u64::MAX].into_iter(), Duration::from_secs(20));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_is_asked_is_bounded() {
        let mut groups = Groups::new(true);
        for first in (1..200_000).step_by(1000) {
            groups.ask(first..first + 1000, Duration::ZERO);
            assert!(groups.asked.len() <= MOST_ASKED);
        }
    }
}

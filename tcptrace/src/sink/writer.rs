//! A thread that writes a log, behind a bounded queue: whoever reads the kernel's buffer is never blocked by an
//! output that nobody reads.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    model::transition::Record,
    sink::{
        Finished, Sink,
        blocked::{self, Writes},
    },
};

/// Records that are handed on at once.
const BATCH: usize = 512;
/// Batches in the queue: about 4 MB.
const QUEUE: usize = 16;
/// How often the sink is flushed while nothing comes.
const IDLE: Duration = Duration::from_millis(250);
/// How often to look whether the queue has room, at the end, and whether writes are blocked.
const AGAIN: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(20);

enum Order {
    Records(Vec<Record>),
    Finish,
}

/// What the thread tells.
#[derive(Default)]
struct Told {
    /// Records that have been written.
    written: AtomicU64,
    /// What went wrong: nothing more is written.
    error: Mutex<Option<io::Error>>,
    /// Whether that was before the end.
    broke_off: AtomicBool,
    /// Messages for the user.
    reports: Mutex<Vec<String>>,
    /// Whether the files are to be opened anew.
    reopen: AtomicBool,
}

/// Messages of the thread for the user.
#[derive(Clone, Default)]
pub struct Reports(Arc<Told>);

impl Reports {
    /// Adds one.
    pub fn add(&self, report: &str) {
        lock(&self.0.reports).push(report.to_owned());
    }
}

/// The thread.
pub struct Writer {
    to: SyncSender<Order>,
    from: Receiver<io::Result<Finished>>,
    told: Arc<Told>,
    /// How long it takes for output.
    writes: Arc<Writes>,
    batch: Vec<Record>,
    /// Batches that the queue has no room for.
    waiting: VecDeque<Vec<Record>>,
    given: u64,
    /// Given up, because the queue had no room until the end.
    dropped: u64,
    /// At the end: how long all writes may have taken when it gives up.
    until: Option<Duration>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// What was written.
    pub finished: io::Result<Finished>,
    /// Records that were not, because nobody read the output, or after an error: at most so many.
    pub unwritten: u64,
}

impl Writer {
    /// Starts it. `reports`: what the sink tells the user; `begin` is what it does first, and has done when this
    /// returns.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(
        mut sink: Box<dyn Sink>,
        reports: &Reports,
        begin: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (to, orders) = sync_channel(QUEUE);
        let (done, from) = sync_channel(1);
        let (tell_own, own) = sync_channel(1);
        let told = Arc::clone(&reports.0);
        let thread = thread::Builder::new().name("writer".into());
        thread.spawn({
            let told = Arc::clone(&told);
            move || {
                begin();
                let _ = tell_own.send(blocked::own());
                let result = run(&mut *sink, &orders, &told);
                told.broke_off.store(result.is_err(), Ordering::Relaxed);
                let result = result.and_then(|()| sink.finish());
                if let Err(error) = &result {
                    *lock(&told.error) = Some(copy(error));
                }
                // Nobody waits for it after the time is up.
                let _ = done.send(result);
            }
        })?;
        Ok(Self {
            to,
            from,
            told,
            writes: own.recv().map_err(io::Error::other)?,
            batch: Vec::with_capacity(BATCH),
            waiting: VecDeque::new(),
            given: 0,
            dropped: 0,
            until: None,
        })
    }

    /// Takes a record.
    pub fn add(&mut self, record: Record) {
        self.given += 1;
        self.batch.push(record);
        if self.batch.len() < BATCH {
            return;
        }
        self.hand_on();
        while self.until.is_some() && !self.waiting.is_empty() {
            if self.gives_up() {
                self.dropped += self
                    .waiting
                    .drain(..)
                    .map(|batch| batch.len() as u64)
                    .sum::<u64>();
                return;
            }
            thread::sleep(AGAIN);
            self.hand_on();
        }
    }

    /// Hands on what has been taken; returns whether there is room for more. If not, do not read more.
    pub fn hand_on(&mut self) -> bool {
        if !self.batch.is_empty() {
            let batch = mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            self.waiting.push_back(batch);
        }
        while let Some(batch) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(Order::Records(batch))) =
                self.to.try_send(Order::Records(batch))
            {
                self.waiting.push_front(batch);
                return false;
            }
        }
        true
    }

    /// What went wrong, once.
    ///
    /// # Errors
    /// That of the sink.
    pub fn check(&self) -> io::Result<()> {
        lock(&self.told.error).take().map_or(Ok(()), Err)
    }

    /// Opens the files anew.
    pub fn reopen(&self) {
        self.told.reopen.store(true, Ordering::Relaxed);
    }

    /// New messages for the user.
    pub fn reports(&self) -> Vec<String> {
        mem::take(&mut *lock(&self.told.reports))
    }

    /// From now on, waits for room instead of refusing, until writes have been blocked for so long. What takes time
    /// for another reason, such as the number of lines, is waited for.
    pub fn end_within(&mut self, blocked: Duration) {
        self.until = Some(self.writes.all() + blocked);
    }

    fn unwritten(&self) -> u64 {
        self.given - self.told.written.load(Ordering::Relaxed)
    }

    fn gives_up(&self) -> bool {
        self.until.is_none_or(|until| self.writes.all() >= until)
    }

    /// Waits until everything is written, or until it gives up: see [`end_within`](Self::end_within).
    pub fn finish(&mut self) -> Ended {
        while !self.hand_on() && !self.gives_up() {
            thread::sleep(AGAIN);
        }
        let mut order = Order::Finish;
        while let Err(TrySendError::Full(back)) = self.to.try_send(order) {
            if self.gives_up() {
                break;
            }
            order = back;
            thread::sleep(AGAIN);
        }
        let (finished, unwritten) = loop {
            let why = match self.from.recv_timeout(LOOK) {
                Ok(finished) if !self.told.broke_off.load(Ordering::Relaxed) => {
                    break (finished, self.dropped);
                }
                Ok(finished) => break (finished, self.unwritten()),
                Err(RecvTimeoutError::Timeout) if !self.gives_up() => continue,
                Err(RecvTimeoutError::Timeout) => "nobody reads the output",
                Err(RecvTimeoutError::Disconnected) => "the thread that writes has ended",
            };
            let error = io::Error::new(io::ErrorKind::TimedOut, why);
            break (Err(error), self.unwritten());
        };
        Ended {
            finished,
            unwritten,
        }
    }
}

/// Writes until the end is ordered, or until nobody gives orders any more.
fn run(sink: &mut dyn Sink, orders: &Receiver<Order>, told: &Told) -> io::Result<()> {
    let (mut taken, mut flushed) = (0, Instant::now());
    loop {
        if told.reopen.swap(false, Ordering::Relaxed) {
            sink.reopen()?;
        }
        let mut next = orders.try_recv();
        let is_idle = matches!(next, Err(TryRecvError::Empty));
        if is_idle || flushed.elapsed() >= IDLE {
            sink.flush()?;
            told.written.store(taken, Ordering::Relaxed);
            flushed = Instant::now();
        }
        if is_idle {
            next = match orders.recv_timeout(IDLE) {
                Ok(order) => Ok(order),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => Err(TryRecvError::Disconnected),
            };
        }
        let Ok(order) = next else { return Ok(()) };
        match order {
            Order::Records(records) => {
                for record in &records {
                    sink.record(record)?;
                }
                taken += records.len() as u64;
            }
            Order::Finish => return Ok(()),
        }
    }
}

/// The same error for two readers.
fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::view::log::fixtures;

    /// Writes when it is allowed to, and tells how many records it has got.
    struct Slow {
        allowed: Receiver<()>,
        got: u64,
        error: Option<io::ErrorKind>,
    }

    impl Sink for Slow {
        fn begin(&mut self, _: &[u8]) {}

        fn record(&mut self, _: &Record) -> io::Result<()> {
            // Without anybody who allows it, it is fast.
            let _ = blocked::watch(|| self.allowed.recv());
            self.got += 1;
            self.error.map_or(Ok(()), |kind| Err(kind.into()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn finish(&mut self) -> io::Result<Finished> {
            Ok(Finished {
                lines: self.got,
                files: 0,
            })
        }
    }

    fn slow(error: Option<io::ErrorKind>) -> (Writer, Sender<()>) {
        let (allow, allowed) = channel();
        let sink = Slow {
            allowed,
            got: 0,
            error,
        };
        let writer = Writer::start(Box::new(sink), &Reports::default(), || {});
        (writer.expect("there can be a thread"), allow)
    }

    #[test]
    fn all_is_written_as_long_as_somebody_reads() {
        let (mut writer, allow) = slow(None);
        drop(allow);
        writer.end_within(Duration::from_secs(60));
        for _ in 0..10 * BATCH * QUEUE + 1 {
            writer.add(fixtures::of(1, "a"));
        }
        let ended = writer.finish();
        let all = (10 * BATCH * QUEUE + 1) as u64;
        assert_eq!(ended.finished.expect("it writes").lines, all);
        assert_eq!(ended.unwritten, 0);
    }

    #[test]
    fn what_nobody_reads_is_counted_and_the_queue_is_bounded() {
        let (mut writer, allow) = slow(None);
        let mut given = 0;
        while writer.hand_on() {
            (0..BATCH).for_each(|_| writer.add(fixtures::of(1, "a")));
            given += BATCH as u64;
        }
        // One batch is being written, and one waits.
        assert!(given <= ((QUEUE + 3) * BATCH) as u64, "{given}");
        let start = Instant::now();
        writer.end_within(Duration::from_millis(200));
        for _ in 0..10 * BATCH {
            writer.add(fixtures::of(1, "a"));
            given += 1;
        }
        let ended = writer.finish();
        assert!(start.elapsed() < Duration::from_secs(30));
        assert_eq!(ended.unwritten, given);
        let error = ended.finished.expect_err("it cannot have ended");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(allow);
    }

    #[test]
    fn an_error_is_told_at_once() {
        let (mut writer, allow) = slow(Some(io::ErrorKind::StorageFull));
        drop(allow);
        writer.add(fixtures::of(1, "a"));
        writer.hand_on();
        let start = Instant::now();
        let error = loop {
            match writer.check() {
                Err(error) => break error,
                Ok(()) => assert!(start.elapsed() < Duration::from_secs(30)),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // More of it goes nowhere, and does not wait.
        (0..BATCH * (QUEUE + 3)).for_each(|_| writer.add(fixtures::of(1, "a")));
        writer.end_within(Duration::from_secs(60));
        let ended = writer.finish();
        assert!(ended.finished.is_err());
        assert_eq!(ended.unwritten, (BATCH * (QUEUE + 3)) as u64 + 1);
    }
}

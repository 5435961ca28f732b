//! Whether a write is blocked, because nobody reads what is written.

use std::{
    io::{self, Write},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The moments below are counted from here, in µs.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static OWN: Arc<Writes> = Arc::default();
}

/// Those of the calling thread.
pub fn own() -> Arc<Writes> {
    OWN.with(Arc::clone)
}

/// Runs a write of the calling thread that may block.
pub fn watch<T>(write: impl FnOnce() -> T) -> T {
    OWN.with(|own| own.watch(write))
}

/// The writes of one thread.
#[derive(Debug, Default)]
pub struct Writes {
    /// When the present one began, plus 1; 0 without one.
    began: AtomicU64,
    /// How long the others took together, in µs.
    took: AtomicU64,
}

fn now() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX - 1) + 1
}

impl Writes {
    fn watch<T>(&self, write: impl FnOnce() -> T) -> T {
        let began = now();
        self.began.store(began, Ordering::Relaxed);
        let result = write();
        let took = now().saturating_sub(began);
        self.took.fetch_add(took, Ordering::Relaxed);
        self.began.store(0, Ordering::Relaxed);
        result
    }

    /// How long the present write has taken so far; zero without one.
    pub fn present(&self) -> Duration {
        match self.began.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => Duration::from_micros(now().saturating_sub(began)),
        }
    }

    /// How long all writes have taken so far, the present one included.
    pub fn all(&self) -> Duration {
        Duration::from_micros(self.took.load(Ordering::Relaxed)) + self.present()
    }
}

/// Watches each write to an output.
pub struct Watched<W>(pub W);

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        watch(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        watch(|| self.0.flush())
    }
}

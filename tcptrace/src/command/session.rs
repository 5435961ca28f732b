//! What the commands share: how a session runs, what ends it, and what is printed on standard
//! error.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::{self, MissedTickBehavior},
};

use crate::{
    model::caveat::Caveat,
    view::parts::{caveat::text, clean::clean},
};

/// How often the progress is shown.
const SAY: Duration = Duration::from_secs(1);
/// Moves the cursor to the beginning of the line and clears the line.
const CLEAR: &str = "\r\x1b[K";

/// Runs a session to its end.
///
/// # Errors
/// Those of the session, or when the event loop cannot start.
pub fn run<T>(session: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?
        .block_on(session)
}

/// The duration in ns; one that does not fit counts as the longest.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Ticks that do not come in a burst after a delay. The first comes after one period: one that came
/// at once would take a millisecond.
pub fn ticks(period: Duration) -> time::Interval {
    let mut ticks = time::interval_at(time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Prints the caveats, one per line.
///
/// # Errors
/// When standard error cannot be written.
pub fn warn(caveats: &[Caveat]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for caveat in caveats {
        writeln!(err, "tcptrace: {}", clean(&text(caveat)))?;
    }
    Ok(())
}

/// A progress line on standard error, only on a terminal.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    said: Instant,
}

impl Progress {
    /// Nothing is shown yet; `wanted`: whether progress is shown at all.
    pub fn new(wanted: bool) -> Self {
        Self {
            shown: wanted && io::stderr().is_terminal(),
            said: Instant::now(),
        }
    }

    /// Whether it is time to show the progress: once a second.
    pub fn is_due(&mut self) -> bool {
        let due = self.said.elapsed() >= SAY;
        if due {
            self.said = Instant::now();
        }
        due
    }

    /// Shows this in place of what was shown.
    ///
    /// # Errors
    /// When standard error cannot be written.
    pub fn show(&self, text: impl Display) -> io::Result<()> {
        if self.shown {
            write!(io::stderr(), "{CLEAR}{text}")?;
        }
        Ok(())
    }

    /// Clears the line for other output.
    ///
    /// # Errors
    /// When standard error cannot be written.
    pub fn clear(&self) -> io::Result<()> {
        self.show("")
    }
}

/// What ends a session: Ctrl-C, SIGTERM or the time being up.
pub struct End {
    interrupt: Signal,
    terminate: Signal,
    duration: Option<Duration>,
    deadline: Option<time::Instant>,
}

impl End {
    /// Catches signals from here on. `duration`: how long the session may last, counted from the
    /// first wait for its end.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn new(duration: Option<Duration>) -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("catching SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("catching SIGTERM")?,
            duration,
            deadline: None,
        })
    }

    /// Waits for the end.
    pub async fn reached(&mut self) {
        let begin = |duration| time::Instant::now() + duration;
        self.deadline = self.deadline.or_else(|| self.duration.map(begin));
        let deadline = self.deadline;
        let time_up = async {
            match deadline {
                Some(deadline) => time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = time_up => {}
        }
    }
}

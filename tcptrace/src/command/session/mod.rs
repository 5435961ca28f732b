//! What the commands share: how a session runs, what ends it, and what is printed on standard
//! error.

mod end;

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
pub use end::{Asked, End, GRACE};
use tokio::{
    runtime,
    time::{self, MissedTickBehavior},
};

use crate::{
    model::caveat::Caveat,
    sink::messages,
    view::parts::{caveat::text, clean::clean},
};

/// How often the progress is shown.
const SAY: Duration = Duration::from_secs(1);

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
pub fn warn(caveats: &[Caveat]) {
    caveats
        .iter()
        .for_each(|caveat| messages::tell(clean(&text(caveat))));
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
    pub fn show(&self, text: impl Display) {
        if self.shown {
            messages::replace_line(text);
        }
    }

    /// Clears the line for other output.
    pub fn clear(&self) {
        self.show("");
    }
}

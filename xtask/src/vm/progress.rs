//! Shows the progress of the guests while they run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::outcome::report::Report;

/// How often the progress is shown.
const EVERY: Duration = Duration::from_secs(30);

/// What each guest is doing.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    /// By the index of the kernel: its series, and what the guest is doing.
    guests: Mutex<BTreeMap<usize, (&'static str, String)>>,
}

impl Progress {
    /// All guests wait.
    pub fn new(series: impl Iterator<Item = &'static str>) -> Self {
        let waiting = |series| (series, "waits".to_owned());
        Self {
            start: Instant::now(),
            guests: Mutex::new(series.map(waiting).enumerate().collect()),
        }
    }

    /// Shows their progress every [`EVERY`] while `work` runs.
    pub fn told<T>(&self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            // It is dropped when the work ends or panics.
            let (_working, done) = mpsc::channel::<()>();
            scope.spawn(move || {
                while done.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                    eprintln!("{}", self.line());
                }
            });
            work()
        })
    }

    /// Sets what a guest is doing.
    pub fn set(&self, index: usize, what: String) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, does)) = guests.get_mut(&index) {
            *does = what;
        }
    }

    /// Takes what a guest has reported so far.
    pub fn reported(&self, index: usize, report: &Report) {
        self.set(index, so_far(report));
    }

    fn line(&self) -> String {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> = guests
            .values()
            .map(|(series, does)| format!("{series} {does}"))
            .collect();
        let seconds = self.start.elapsed().as_secs();
        format!("after {seconds} s: {}", all.join("; "))
    }
}

fn so_far(report: &Report) -> String {
    let ended = report.took.len();
    let planned = report
        .planned
        .map_or_else(|| "?".into(), |planned| planned.to_string());
    match &report.release {
        None => "boots".into(),
        Some(_) => format!("{ended} of {planned} tests"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, so_far};
    use crate::vm::outcome::report::Report;

    #[test]
    fn says_where_each_guest_is() {
        let progress = Progress::new(["5.10", "6.1"].into_iter());
        let mut report = Report::new("t0k");
        assert_eq!(so_far(&report), "boots");
        let lines = "t0k up 5.10.0\nrunning 98 tests\ntest a ... ok\n";
        for line in lines.lines() {
            report.line(line, Duration::ZERO);
        }
        progress.reported(0, &report);
        let line = progress.line();
        let line = line.split_once(": ").map(|(_, rest)| rest);
        assert_eq!(line, Some("5.10 1 of 98 tests; 6.1 waits"));
    }
}

//! Several ways to list sockets, which take turns.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use testbed::Netns;

use crate::bench::{Plan, gauge::stats::Spread, subject};

pub const SS: &str = "`ss -tanp`";
pub const ONCE: &str = "`tcptrace --once`";
pub const STATES: &str = "`tcptrace states --once`";
pub const ONCE_BY_FILES: &str = "`tcptrace --once --walk files`";
pub const ONCE_BY_PROC: &str = "`tcptrace --once --walk proc`";

/// A way to list sockets.
pub struct Way {
    pub name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    /// Whether it prints a line for each socket.
    lists: bool,
}

impl Way {
    /// One look of tcptrace with more options.
    pub fn tcptrace(plan: &Plan, name: &'static str, options: &[&str]) -> Self {
        let arguments = ["stuck", "--once"].iter().chain(options);
        Self {
            name,
            program: plan.program.clone(),
            arguments: arguments.copied().map(String::from).collect(),
            lists: true,
        }
    }

    /// Counting instead of listing.
    pub fn states(plan: &Plan) -> Self {
        Self {
            name: STATES,
            program: plan.program.clone(),
            arguments: ["states", "--once"].map(String::from).into(),
            lists: false,
        }
    }

    /// `ss`, if it is installed.
    pub fn ss(name: &'static str, arguments: &[&str]) -> Option<Self> {
        Some(Self {
            name,
            program: subject::find("ss")?,
            arguments: arguments.iter().copied().map(String::from).collect(),
            lists: true,
        })
    }

    /// `ss` of the own namespace, and one look of tcptrace by each way to find sockets.
    pub fn usual(plan: &Plan) -> Vec<Self> {
        let tcptrace = |name, options: &[&str]| Self::tcptrace(plan, name, options);
        let ours = [
            tcptrace(ONCE, &[]),
            tcptrace(ONCE_BY_FILES, &["--walk", "files"]),
            tcptrace(ONCE_BY_PROC, &["--walk", "proc"]),
            Self::states(plan),
        ];
        Self::ss(SS, &["-tanp"]).into_iter().chain(ours).collect()
    }

    /// Milliseconds from start to end; fails unless it prints this many lines.
    fn time(&self, least_lines: usize, inside: Option<&Netns>) -> Result<f64> {
        let least_lines = if self.lists { least_lines } else { 1 };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        match inside {
            Some(netns) => netns.run(move || time(command, least_lines))?,
            None => time(command, least_lines),
        }
    }
}

fn time(mut command: Command, least_lines: usize) -> Result<f64> {
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let taken = start.elapsed();
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    if !output.status.success() || lines < least_lines {
        bail!(
            "{command:?} ended with {} after {lines} lines",
            output.status
        );
    }
    Ok(taken.as_secs_f64() / Duration::from_millis(1).as_secs_f64())
}

/// The conditions under which all ways run.
pub struct Race<'a> {
    pub rounds: usize,
    /// What every way prints at least.
    pub least_lines: usize,
    /// The namespace to start them in, if it is not this one: `ss` only looks at its own.
    pub inside: Option<&'a Netns>,
}

impl Race<'_> {
    /// Runs them in turns. `prepare` runs before each round.
    pub fn run(
        &self,
        plan: &Plan,
        ways: &[Way],
        mut prepare: impl FnMut() -> Result<()>,
    ) -> Result<Times> {
        let mut times: Vec<_> = ways.iter().map(|way| (way.name, Vec::new())).collect();
        // The first round warms up.
        for round in 0..=plan.rounds(self.rounds) {
            plan.patience.wait()?;
            prepare()?;
            for turn in 0..ways.len() {
                let index = (round + turn) % ways.len();
                let taken = ways[index].time(self.least_lines, self.inside)?;
                if round > 0 {
                    times[index].1.push(taken);
                }
            }
        }
        let times = Times(times);
        for way in ways {
            eprintln!("{}: {} ms", way.name, show(times.spread(way.name), 1));
        }
        Ok(times)
    }
}

/// Milliseconds by way and round.
pub struct Times(Vec<(&'static str, Vec<f64>)>);

impl Times {
    fn of(&self, name: &str) -> Option<&[f64]> {
        let (_, times) = self.0.iter().find(|(way, _)| *way == name)?;
        Some(times)
    }

    /// The milliseconds of a way; `None` if it did not run.
    pub fn spread(&self, name: &str) -> Option<Spread> {
        Spread::of(self.of(name)?.iter().copied()).ok()
    }

    /// How many times longer one way took than another one.
    pub fn ratio(&self, slower: &str, faster: &str) -> Option<Spread> {
        let pairs = self.of(slower)?.iter().zip(self.of(faster)?);
        Spread::of(pairs.map(|(slower, faster)| slower / faster)).ok()
    }

    /// A row for each way, to be read beside `ss`.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str| {
            let ratio = self.ratio(name, SS);
            vec![name.into(), show(self.spread(name), 1), show(ratio, 2)]
        };
        self.0.iter().map(|(name, _)| row(name)).collect()
    }
}

/// The head of [`Times::rows`].
pub const HEAD: [&str; 3] = ["", "ms", "÷ `ss -tanp`"];

/// With this many decimals, or a dash.
pub fn show(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "–".into(), |spread| spread.show(decimals))
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn ratios_are_of_the_same_round() {
        let times = Times(vec![("a", vec![2.0, 8.0, 9.0]), ("b", vec![1.0, 2.0, 9.0])]);
        let ratio = times.ratio("a", "b").expect("both ran");
        assert_eq!((ratio.lower, ratio.median, ratio.upper), (1.5, 2.0, 3.0));
        assert!(times.ratio("a", "c").is_none());
        assert_eq!(times.rows()[0], ["a", "8.0 (5.0–8.5)", "–"]);
    }
}

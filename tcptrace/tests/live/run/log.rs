//! Runs `tcptrace log`.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use testbed::clock::monotonic_ns;

use crate::{
    harness::place::Place,
    run::{
        line::{Line, Lost, Open, Transition},
        tool::{Outcome, Tool},
    },
};

/// It writes this when it sees everything from then on.
pub const READY: &str = "tcptrace: tracing";

/// A running log.
pub struct LogTool {
    pub tool: Tool,
    place: Place,
}

impl LogTool {
    /// Starts it with exactly these arguments, and does not wait until it is [`LogTool::ready`].
    pub fn begin(place: Place, arguments: &[&str]) -> Result<Self> {
        let mut words = vec!["log"];
        words.extend(place.arguments());
        words.extend(arguments);
        let tool = Tool::start(place, &words)?;
        Ok(Self { tool, place })
    }

    /// Waits until it sees everything.
    pub fn ready(mut self) -> Result<Self> {
        self.tool.until_said(READY)?;
        Ok(self)
    }

    /// Starts it with exactly these arguments, and waits until it sees everything.
    pub fn start(place: Place, arguments: &[&str]) -> Result<Self> {
        Self::begin(place, arguments)?.ready()
    }

    /// Starts it for one namespace, with JSON output and `more`.
    pub fn watch(place: Place, netns: u64, more: &[&str]) -> Result<Self> {
        let netns = netns.to_string();
        let mut arguments = vec!["--json", "--netns", &netns];
        arguments.extend(more);
        Self::start(place, &arguments)
    }

    /// Ends it as Ctrl-C does, and returns its log.
    pub fn end(self) -> Result<Log> {
        self.end_by(Signal::INT)
    }

    /// Ends it by a signal, and returns its log.
    pub fn end_by(self, signal: Signal) -> Result<Log> {
        self.tool.signal(signal)?;
        self.finish()
    }

    /// Waits for its end and returns its log. It must have been signalled before.
    pub fn finish(self) -> Result<Log> {
        let outcome = self.tool.wait()?.success()?;
        let first = outcome.stdout.lines().next();
        ensure!(first.is_none_or(is_header), "no header: {first:?}");
        let mut log = Log::of(self.place, &outcome.stdout)?;
        log.outcome = outcome;
        Ok(log)
    }
}

/// A log that has ended.
#[derive(Debug)]
pub struct Log {
    pub place: Place,
    pub transitions: Vec<Transition>,
    pub open: Vec<Open>,
    pub lost: Vec<Lost>,
    pub outcome: Outcome,
}

impl Log {
    /// Reads these lines.
    pub fn of(place: Place, text: &str) -> Result<Self> {
        let mut log = Self {
            place,
            transitions: Vec::new(),
            open: Vec::new(),
            lost: Vec::new(),
            outcome: Outcome::default(),
        };
        for line in lines(text)? {
            match line {
                Line::Transition(line) => log.transitions.push(line),
                Line::Open(line) => log.open.push(line),
                Line::Lost(line) => log.lost.push(line),
            }
        }
        Ok(log)
    }

    /// Runs of the program that the kernel skipped. For each of them a transition is missing.
    pub fn skipped(&self) -> u64 {
        self.lost.iter().map(|line| line.runs).sum()
    }

    /// The same, for those that the log noticed after this time.
    pub fn skipped_after(&self, moment_ns: u64) -> u64 {
        let later = self
            .lost
            .iter()
            .filter(|line| line.monotonic_ns > moment_ns);
        later.map(|line| line.runs).sum()
    }

    /// Transitions for which the buffer had no room.
    pub fn lost_transitions(&self) -> u64 {
        self.lost.iter().map(|line| line.transitions).sum()
    }

    /// Checks that nothing is lost except what the kernel [skipped](Self::skipped), which no tool can prevent.
    pub fn lossless(self) -> Result<Self> {
        let only_skipped = |line: &Lost| line.transitions == 0 && line.sockets == 0;
        ensure!(self.lost.iter().all(only_skipped), "lost: {:#?}", self.lost);
        Ok(self)
    }
}

/// Whether a line describes the recording, not a socket.
pub fn is_header(text: &str) -> bool {
    text.starts_with(r#"{"schema":"tcptrace.recording/1""#)
}

/// The lines of a log about sockets, in the order of time, open sockets last.
pub fn lines(text: &str) -> Result<Vec<Line>> {
    let lines = text.lines().filter(|text| !is_header(text));
    let lines = lines.map(line).collect::<Result<Vec<_>>>()?;
    let mut opened = false;
    for line in &lines {
        let open = matches!(line, Line::Open(_));
        let lost = matches!(line, Line::Lost(_));
        ensure!(open || lost || !opened, "a transition after the end");
        opened |= open;
    }
    Ok(lines)
}

fn line(text: &str) -> Result<Line> {
    let line: Line = serde_json::from_str(text).with_context(|| format!("not a line: {text}"))?;
    let (time, moment) = line.moment();
    // RFC 3339 in UTC with nanoseconds.
    let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shape: String = time.chars().map(digit).collect();
    ensure!(shape == "0000-00-00T00:00:00.000000000Z", "time {time}");
    ensure!(moment <= monotonic_ns(), "in the future: {text}");
    Ok(line)
}

/// The doctor's finding with this name.
pub fn doctor(name: &str) -> Result<Option<String>> {
    let outcome = Tool::start(Place::AsIs, &["doctor", "--json"])?.wait()?;
    let report: Value = serde_json::from_str(&outcome.stdout)?;
    let findings = report["findings"].as_array().context("no findings")?;
    let found = findings.iter().find(|finding| finding["name"] == name);
    Ok(found
        .and_then(|finding| finding["status"].as_str())
        .map(String::from))
}

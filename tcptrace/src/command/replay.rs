//! `tcptrace replay`: shows a recording as the live commands would have.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    command::{
        screens,
        session::{nanoseconds, resolve},
    },
    diagnosis::recording::{self, durations::RecordedDurations, journal::Journal},
    model::{
        request::{HistShow, LogShow, ReplayRequest, ReplayView, StuckShow},
        stuck::snapshot::Watched,
    },
    sink::{self, Place},
    source::recording::reader::{Account, Item, Recording},
    view::{Format, parts::clean::clean},
};

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read, is none, or the output cannot be written.
pub fn run(request: &ReplayRequest) -> anyhow::Result<()> {
    let file = Named(&request.file);
    let recording = Recording::open(file.0).with_context(|| format!("opening {file}"))?;
    match &request.view {
        ReplayView::Stuck(show) => stuck(&file, recording, show),
        ReplayView::Log(show) => log(&file, recording, show),
        ReplayView::Hist(show) => hist(&file, recording, show),
    }
}

fn stuck(file: &Named, mut recording: Recording, show: &StuckShow) -> anyhow::Result<()> {
    let watched = Watched {
        state: show.state,
        older_than_ns: nanoseconds(show.older_than),
        filter: resolve(&show.filters)?,
    };
    let mut journal = Journal::new(show.state);
    for item in &mut recording {
        match item.with_context(|| format!("reading {file}"))? {
            Item::Record(_, record) => journal.add(*record),
            Item::Damaged(_) => journal.damaged(),
        }
    }
    let account = recording.account();
    check(file, account)?;
    if show.json {
        warn(account)?; // on the screen, the view shows them
    }
    let snapshot = recording::snapshot::snapshot(journal.finish(), &watched, account.notes());
    screens::of_stuck(show, false).show(&snapshot)?;
    Ok(())
}

fn log(file: &Named, mut recording: Recording, show: &LogShow) -> anyhow::Result<()> {
    let filter = resolve(&show.filters.sockets)?;
    // Of no namespace of this machine's can a recording be.
    let format = Format::json_if(show.json);
    let mut sink = sink::choose(Place::Screen, format, None)?;
    for item in &mut recording {
        if let Item::Record(_, record) = item.with_context(|| format!("reading {file}"))?
            && filter.passes_record(&record, &show.filters.states)
        {
            sink.record(&record)?;
        }
    }
    check(file, recording.account())?;
    sink.finish()?;
    warn(recording.account())?;
    Ok(())
}

fn hist(file: &Named, mut recording: Recording, show: &HistShow) -> anyhow::Result<()> {
    let mut recorded = RecordedDurations::new(show.asked.clone(), resolve(&show.filters)?);
    for item in &mut recording {
        match item.with_context(|| format!("reading {file}"))? {
            Item::Record(_, record) => recorded.add(&record),
            Item::Damaged(_) => recorded.damaged(),
        }
    }
    let account = recording.account();
    check(file, account)?;
    let mut report = recorded.finish(show.include_open);
    report.notes.splice(0..0, account.notes());
    screens::of_hist(show).show(&report)?;
    Ok(())
}

/// A file in which nothing is of use is no recording.
fn check(file: &Named, account: &Account) -> anyhow::Result<()> {
    if !account.is_useless() {
        return Ok(());
    }
    let reasons = [&account.reason, &account.cut].into_iter().flatten();
    let reason = reasons.map(|reason| format!(" ({})", clean(reason))).next();
    anyhow::bail!(
        "{file} is no recording: no line of it is one of a log in JSON{}\n  make one with: tcptrace \
         log --json -o FILE",
        reason.unwrap_or_default()
    )
}

fn warn(account: &Account) -> io::Result<()> {
    for note in account.notes() {
        writeln!(io::stderr(), "tcptrace: {}", clean(&note))?;
    }
    Ok(())
}

/// A file as messages name it.
struct Named<'a>(&'a Path);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.to_string_lossy() {
            name if name == "-" => f.write_str("standard input"),
            name => f.write_str(&clean(&name)),
        }
    }
}

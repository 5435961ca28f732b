//! `tcptrace replay`: shows a recording as the live commands would have.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    cli::{Histograms, Replay, ReplayLog, ReplayView, Show},
    command::session::nanoseconds,
    diagnosis::recording::{durations::RecordedDurations, journal::Journal},
    model::stuck::snapshot::{Snapshot, Watched},
    sink::{self, screen::Screen},
    source::recording::reader::{Account, Item, Recording},
    view::{self, Format, parts::clean::clean},
};

/// Runs the command.
///
/// # Errors
/// When the recording cannot be read, is none, or the output cannot be written.
pub fn run(arguments: Replay) -> anyhow::Result<()> {
    let file = Named(&arguments.file);
    let view = arguments.view;
    let view = view.unwrap_or_else(|| ReplayView::Stuck(Box::default()));
    let recording = Recording::open(file.0).with_context(|| format!("opening {file}"))?;
    match view {
        ReplayView::Stuck(show) => stuck(&file, recording, &show),
        ReplayView::Log(arguments) => log(&file, recording, &arguments),
        ReplayView::Hist(arguments) => hist(&file, recording, &arguments),
    }
}

fn stuck(file: &Named, mut recording: Recording, show: &Show) -> anyhow::Result<()> {
    let watched = Watched {
        state: show.state,
        older_than_ns: nanoseconds(show.older_than),
        filter: show.filters.model(),
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
    let snapshot = Snapshot::recorded(journal.finish(), &watched, account.notes());
    let view = view::stuck::choose(view::stuck::Options {
        format: Format::json_if(show.json),
        limit: show.limit,
        all: show.all,
    });
    Screen::new(view, false).show(&snapshot)?;
    Ok(())
}

fn log(file: &Named, mut recording: Recording, arguments: &ReplayLog) -> anyhow::Result<()> {
    let filter = arguments.filters.model();
    // Of no namespace of this machine's can a recording be.
    let format = Format::json_if(arguments.json);
    let mut sink = sink::choose(sink::Place::Screen, format, None)?;
    for item in &mut recording {
        if let Item::Record(_, record) = item.with_context(|| format!("reading {file}"))?
            && filter.passes_record(&record, &arguments.state)
        {
            sink.record(&record)?;
        }
    }
    check(file, recording.account())?;
    sink.finish()?;
    warn(recording.account())?;
    Ok(())
}

fn hist(file: &Named, mut recording: Recording, arguments: &Histograms) -> anyhow::Result<()> {
    let mut recorded = RecordedDurations::new(arguments.asked(), arguments.filters.model());
    for item in &mut recording {
        match item.with_context(|| format!("reading {file}"))? {
            Item::Record(_, record) => recorded.add(&record),
            Item::Damaged(_) => recorded.damaged(),
        }
    }
    let account = recording.account();
    check(file, account)?;
    let mut report = recorded.finish(arguments.include_open);
    report.notes.splice(0..0, account.notes());
    let view = view::hist::choose(view::hist::Options {
        format: Format::json_if(arguments.json),
        top: arguments.top.map(|top| top as usize),
        ascii: arguments.ascii,
    });
    Screen::new(view, false).show(&report)?;
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

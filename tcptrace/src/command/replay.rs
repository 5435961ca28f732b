//! `tcptrace replay`: shows a recording the way the live commands would have.

use std::path::Path;

use anyhow::Context as _;

use crate::{
    command::{
        Outcome, confinement, screens,
        session::{nanoseconds, warn},
    },
    diagnosis::{
        cause::diagnose,
        recording::{
            self, durations::RecordedDurations, journal::Journal, origin::Origin, wanted::Wanted,
        },
        stuck::order::sort,
    },
    model::{
        cause::Clues,
        recording::RecordingHeader,
        request::{
            Filters, HistShow, LogFilters, LogShow, Netns, ReplayRequest, ReplayView, StuckShow,
            UsageError,
        },
        sandbox::{Needs, Work},
        stuck::snapshot::Watched,
    },
    sink::{self, screen::Follow},
    source::recording::reader::{self, Item, LineCounts, Recording},
    view::{
        Format,
        log::first_line,
        parts::clean::{self, clean},
    },
};

/// What to try where there is no recording.
const RECORD: &str = "try: make a recording with tcptrace log --json -o FILE";

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or is not a recording, or the output cannot be written.
pub fn run(request: &ReplayRequest) -> anyhow::Result<Outcome> {
    let file = Named(&request.file);
    let opened = reader::open(file.0)
        .with_context(|| format!("opening {file}"))
        .map_err(|error| anyhow::anyhow!("{error:#}\n  {RECORD}"))?;
    // What is in it may be hostile: before the first byte.
    confinement::confine(&Needs::of(Work::Replay), false);
    let recording = Recording::new(opened).with_context(|| format!("reading {file}"))?;
    match &request.view {
        ReplayView::Stuck(show) => return stuck(&file, recording, show),
        ReplayView::Log(show) => log(&file, recording, show)?,
        ReplayView::Hist(show) => hist(&file, recording, show)?,
    }
    Ok(Outcome::Done)
}

fn stuck(file: &Named, mut recording: Recording, show: &StuckShow) -> anyhow::Result<Outcome> {
    let mut wanted = Wanted::new(&show.filters);
    let mut journal = Journal::new(show.state);
    for item in &mut recording {
        match item.with_context(|| format!("reading {file}"))? {
            Item::Record(_, record) => {
                wanted.see(&record);
                journal.add(*record);
            }
            Item::Header(header) => {
                wanted.header(&header);
                journal.header(&header);
            }
            Item::Damaged(_) => journal.damaged(),
        }
    }
    let counts = recording.counts();
    check(file, counts)?;
    let watched = Watched {
        state: show.state,
        older_than_ns: nanoseconds(show.older_than),
        filter: wanted.filter().map_err(unknown(&show.filters))?.clone(),
        filters: show.filters.clone(),
    };
    let mut caveats = counts.caveats();
    caveats.extend(wanted.caveats());
    if show.json {
        warn(&caveats); // on the screen, the view shows them
    }
    let mut snapshot = recording::snapshot::snapshot(journal.finish(), &watched, caveats);
    // A recording carries nothing about processes.
    diagnose(&mut snapshot, &Clues::default(), None);
    sort(&mut snapshot, show.sort);
    screens::check_explained(show, &snapshot)?;
    if !show.quiet {
        screens::of_stuck(show, false, Follow::Once).show(&snapshot)?;
    }
    Ok(Outcome::of(show, &snapshot))
}

fn log(file: &Named, mut recording: Recording, show: &LogShow) -> anyhow::Result<()> {
    let LogFilters {
        sockets, states, ..
    } = &show.filters;
    let mut wanted = Wanted::new(sockets);
    let mut origin = Origin::default();
    // A recording need not be from this machine, so no namespace counts as its own.
    let format = Format::json_if(show.json);
    let mut sink = sink::screen(format, None, show.all);
    for item in &mut recording {
        match item.with_context(|| format!("reading {file}"))? {
            Item::Record(_, record) => {
                origin.record();
                wanted.see(&record);
                if wanted.passes(&record, states) {
                    sink.record(&record)?;
                }
            }
            Item::Header(header) => {
                wanted.header(&header);
                origin.header(&header);
                // The output is a recording too.
                let header = RecordingHeader {
                    filters: header.filters.and(&show.filters),
                    ..*header
                };
                sink.begin(&first_line(format, &header));
            }
            Item::Damaged(_) => {}
        }
    }
    check(file, recording.counts())?;
    wanted.filter().map_err(unknown(sockets))?;
    sink.finish()?;
    let mut caveats = recording.counts().caveats();
    caveats.extend(origin.caveats());
    caveats.extend(wanted.caveats());
    warn(&caveats);
    Ok(())
}

fn hist(file: &Named, mut recording: Recording, show: &HistShow) -> anyhow::Result<()> {
    let mut recorded = RecordedDurations::new(show.selection.clone(), &show.filters);
    for item in &mut recording {
        match item.with_context(|| format!("reading {file}"))? {
            Item::Record(_, record) => recorded.add(&record),
            Item::Header(header) => recorded.header(&header),
            Item::Damaged(_) => recorded.damaged(),
        }
    }
    let counts = recording.counts();
    check(file, counts)?;
    let report = recorded.finish(show.include_open);
    let mut report = report.map_err(unknown(&show.filters))?;
    report.caveats.splice(0..0, counts.caveats());
    screens::of_hist(show).show(&report)?;
    Ok(())
}

/// A file without a usable line is not a recording.
fn check(file: &Named, counts: &LineCounts) -> anyhow::Result<()> {
    if !counts.is_useless() {
        return Ok(());
    }
    let reasons = [&counts.reason, &counts.cut].into_iter().flatten();
    let reason = reasons.map(|reason| format!(" ({})", clean(reason))).next();
    anyhow::bail!(
        "{file} is not a recording: it has no line of a log in JSON{}\n  {RECORD}",
        reason.unwrap_or_default()
    )
}

/// The error for a namespace that the recording does not know.
fn unknown(filters: &Filters) -> impl FnOnce(String) -> UsageError {
    let name = filters.netns.as_ref().map(Netns::to_string);
    move |reason| UsageError::Value {
        option: "netns",
        value: name.unwrap_or_default(),
        reason: clean(&reason),
        more: Vec::new(),
        advice: None,
    }
}

/// A file's name as messages show it.
struct Named<'a>(&'a Path);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            name if name == Path::new("-") => f.write_str("standard input"),
            name => f.write_str(&clean::path(name)),
        }
    }
}

//! `tcptrace log`: every transition as it happens.

use std::{
    io,
    time::{Duration, Instant},
};

use anstyle::Style;
use anyhow::{Context as _, ensure};
use tcptrace_common::{HistSettings, TcpState};
use tokio::{task, time};

use crate::{
    command::{
        confinement::{confine_looking, confine_thread, of_log, of_writer},
        filters,
        session::{self, Asked, End, GRACE, Progress},
        tracking::Tracking,
    },
    model::{
        caveat::Caveat, filter::Filter, request::LogRequest, tally::Tally, transition::Record,
    },
    sink::{
        self, Finished, Place, characters, messages,
        writer::{Ended, Reports, Writer},
    },
    source::{
        bpf::filter,
        machine::{
            cgroup, netns,
            presence::Presence,
            privileges::{self, Use},
            process, recording,
        },
        track::TrackOptions,
    },
    view::{
        Format, Page,
        log::{
            ends::{self, List},
            first_line,
            summary::summary,
        },
        parts::clean,
    },
};

/// How often the buffer is read while it has something in it, and while it is empty.
const BUSY: Duration = Duration::from_millis(25);
const QUIET: Duration = Duration::from_millis(50);

/// How long the output may be blocked with what is left at the end: the rest of [`GRACE`] is for the summary.
const LAST: Duration = GRACE.saturating_sub(Duration::from_millis(500));

/// Runs the command.
///
/// # Errors
/// When tracing cannot start, or something cannot be read or written.
pub fn run(request: &LogRequest) -> anyhow::Result<()> {
    let filter = filters::resolve(&request.show.filters.sockets)?;
    session::run(trace(request, filter))
}

async fn trace(request: &LogRequest, filter: Filter) -> anyhow::Result<()> {
    // Before anything is attached, so that a signal always leads to a summary.
    let mut end = End::new(request.duration)?;
    let lacking = privileges::check(Use::Programs)?;
    let options = options(request, &filter);
    let mut out = Out::new(request, &filter)?;
    let caveats = lacking.into_iter().collect();
    let mut live = start(request, &filter, &options, caveats)?;
    if live.side().applies_cgroup() {
        // It knows the groups of owners before their paths are known here.
        out.seen.cgroup = None;
    }
    let started = Instant::now();
    let ended = follow(&mut live, &mut out, &mut end).await;
    out.writer.end_within(LAST);
    let ended = match ended {
        // Nobody is there to read it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error.into()),
        ended => ended.and(live.finish(&mut |record| out.record(record))),
    };
    out.tally.unfollowed = live.counted().unfollowed;
    out.tally.unnamed_groups = live.unnamed_groups();
    out.finish(started.elapsed(), ended)
}

/// Reads transitions until the end.
async fn follow(live: &mut Tracking, out: &mut Out, end: &mut End) -> io::Result<()> {
    let (mut wait, mut has_room) = (QUIET, true);
    loop {
        tokio::select! {
            biased;
            asked = end.asked() => match asked {
                Asked::End => return Ok(()),
                Asked::Reopen => out.writer.reopen(),
            },
            () = live.woken(), if has_room => {}
            () = time::sleep(wait) => {}
        }
        let before = out.tally.transitions;
        // While the output is not read, the kernel's buffer takes what it can, and counts the rest.
        has_room = out.writer.hand_on();
        while has_room && live.read(&mut |record| out.record(record))? {
            has_room = out.writer.hand_on();
            // Lets signals be handled even under a constant load.
            task::yield_now().await;
        }
        has_room = out.writer.hand_on();
        out.writer.check()?;
        out.say_alive();
        wait = if out.tally.transitions > before {
            BUSY
        } else {
            QUIET
        };
    }
}

/// Attaches the kernel side, and prints that tracing has begun and which limits apply.
fn start(
    request: &LogRequest,
    filter: &Filter,
    options: &TrackOptions,
    mut caveats: Vec<Caveat>,
) -> anyhow::Result<Tracking> {
    caveats.extend(filters::caveats(&mut Presence::new(filter)));
    // As text no group is shown.
    caveats.extend(filters::about_groups(filter, request.show.json, None));
    let mut live = Tracking::start(options, filter, &mut caveats)?;
    let to_files = request.dir.is_some() || request.output.is_some();
    confine_looking(&of_log(to_files), request.verbose);
    live.say_hello(request.verbose, &caveats, "tracing", "Ctrl-C ends")?;
    Ok(live)
}

fn options(request: &LogRequest, filter: &Filter) -> TrackOptions {
    TrackOptions {
        hook: request.hook,
        accept: request.accept,
        walk: request.walk,
        filter: filter::by_socket(filter),
        owner_filter: filter::by_owner(filter, &request.show.filters.states),
        hist: HistSettings::default(),
        max_keys: 0,
        pids: filter.pids.clone(),
        children: request.show.filters.children,
        cgroups: (filter.cgroup.as_deref()).map_or_else(Vec::new, cgroup::ids_below),
        // Text does not show any.
        name_cgroups: request.show.json || filter.cgroup.is_some(),
        buffer: request.buffer,
        max_sockets: request.max_sockets,
        state: watched_state(request),
        messages: request.verbose >= 2,
    }
}

/// The state whose sockets are listed at the end.
fn watched_state(request: &LogRequest) -> TcpState {
    match request.show.filters.states[..] {
        [only] => only,
        _ => TcpState::CloseWait,
    }
}

/// Where the log is to go.
fn destination(request: &LogRequest) -> Place {
    match (&request.dir, &request.output) {
        (Some(dir), _) => Place::Folder {
            dir: dir.clone(),
            rotation: request.rotation,
            max_files: request.max_files,
        },
        (None, Some(path)) => Place::File(path.clone()),
        (None, None) => Place::Screen {
            all: request.show.all,
        },
    }
}

/// Where records go, and the figures for progress and summary.
struct Out {
    writer: Writer,
    filter: Filter,
    /// Of transitions.
    seen: Filter,
    states: Vec<TcpState>,
    tally: Tally,
    /// The file or folder, if it is not the screen.
    place: Option<String>,
    /// Whether the log itself ends with groups of what is still open.
    has_groups: bool,
    progress: Progress,
    reported_lost: u64,
}

impl Out {
    fn new(request: &LogRequest, filter: &Filter) -> anyhow::Result<Self> {
        let place = request.dir.as_ref().or(request.output.as_ref());
        let filter = Filter {
            // The kernel side applies the filter by process, because it knows the descendants.
            pids: Vec::new(),
            ..filter.clone()
        };
        let format = Format::json_if(request.show.json);
        let reports = Reports::default();
        let tell = {
            let reports = reports.clone();
            Box::new(move |report: &str| reports.add(report))
        };
        let (place_of, own) = (destination(request), netns::own().ok());
        let mut sink = sink::choose(place_of, format, own, tell, Box::new(process::runs))?;
        let header = recording::header(request.show.filters.clone());
        sink.begin(&first_line(format, &header));
        let keeps = of_writer(request.output.as_deref());
        let writer = Writer::start(sink, &reports, || confine_thread(keeps));
        Ok(Self {
            writer: writer.context("starting a thread that writes")?,
            seen: filter.clone(),
            filter,
            states: request.show.filters.states.clone(),
            tally: Tally::new(watched_state(request)),
            place: place.map(|place| clean::path(place)),
            has_groups: place.is_none() && sink::ends_with_groups(format),
            progress: Progress::new(place.is_some()),
            reported_lost: 0,
        })
    }

    fn record(&mut self, record: Record) -> io::Result<()> {
        let filter = match record {
            Record::Transition(_) => &self.seen,
            _ => &self.filter,
        };
        if filter.passes_record(&record, &self.states) {
            self.tally.add(&record);
            self.writer.add(record);
        }
        Ok(())
    }

    /// Shows the progress, and reports losses that would otherwise only be visible in the file.
    fn say_alive(&mut self) {
        let reports = self.writer.reports();
        if !reports.is_empty() {
            self.progress.clear();
            reports.iter().for_each(messages::tell);
        }
        if self.place.is_none() || !self.progress.is_due() {
            return;
        }
        let tally = &self.tally;
        let lost = tally.lost + tally.untracked + tally.skipped;
        let news = lost - self.reported_lost;
        self.reported_lost = lost;
        if news > 0 {
            self.progress.clear();
            messages::tell(format_args!(
                "lost: {} transitions, {} sockets, {} skipped runs so far",
                tally.lost, tally.untracked, tally.skipped
            ));
        }
        self.progress
            .show(format_args!("{} transitions", tally.transitions));
    }

    /// Writes what still waits, and prints the summary, also after an error.
    fn finish(mut self, length: Duration, ended: io::Result<()>) -> anyhow::Result<()> {
        let Ended {
            finished,
            unwritten,
        } = self.writer.finish();
        self.progress.clear();
        self.writer.reports().iter().for_each(messages::tell);
        let mut more = Vec::new();
        if let (Some(place), Ok(Finished { lines, files })) = (&self.place, &finished) {
            let noun = if *files == 1 { "file" } else { "files" };
            more.push(format!("{lines} lines written in {files} {noun}: {place}"));
        }
        if unwritten > 0 {
            more.push(format!("up to {unwritten} lines not written"));
        }
        let page = Page {
            ascii: characters::are_ascii(),
            ..Page::UNLIMITED.with_width(messages::width())
        };
        let mut lines = match self.has_groups {
            true => Vec::new(),
            false => ends::lines(&self.tally.open, List::None, &page, Style::new()),
        };
        lines.push(String::new());
        lines.extend(summary(&self.tally, length, &more, &page));
        messages::print(lines.join("\n"));
        ended?;
        finished?;
        ensure!(
            unwritten == 0,
            "up to {unwritten} lines were not written: nobody read the output in time"
        );
        Ok(())
    }
}

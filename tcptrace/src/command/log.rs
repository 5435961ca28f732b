//! `tcptrace log`: every transition as it happens.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use tcptrace_common::{HistSettings, TcpState};
use tokio::{task, time};

use crate::{
    command::{
        filters,
        session::{self, End, Progress},
        tracking::Tracking,
    },
    model::{
        caveat::Caveat, filter::Filter, request::LogRequest, tally::Tally, transition::Record,
    },
    sink::{self, Finished, Place, Sink},
    source::{
        bpf::filter,
        machine::{cgroup, netns, presence::Presence, privileges, recording},
        track::TrackOptions,
    },
    view::{
        Format,
        log::{first_line, summary::summary},
    },
};

/// How often the buffer is read while it has something in it, and while it is empty.
const BUSY: Duration = Duration::from_millis(25);
const QUIET: Duration = Duration::from_millis(50);

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
    let useful_missing = privileges::check()?;
    let mut out = Out::new(request, &filter)?;
    let caveats = privileges::caveat(&useful_missing).into_iter().collect();
    let mut live = start(request, &filter, caveats)?;
    let started = Instant::now();
    let mut wait = QUIET;
    loop {
        tokio::select! {
            biased;
            () = end.reached() => break,
            () = live.woken() => {}
            () = time::sleep(wait) => {}
        }
        let before = out.tally.transitions;
        while live.read(&mut |record| out.record(record))? {
            out.sink.flush()?;
            // Lets signals be handled even under a constant load.
            task::yield_now().await;
        }
        out.sink.flush()?;
        out.say_alive()?;
        wait = if out.tally.transitions > before {
            BUSY
        } else {
            QUIET
        };
    }
    live.finish(&mut |record| out.record(record))?;
    out.tally.unfollowed = live.counted().unfollowed;
    out.finish(started.elapsed())
}

/// Attaches the kernel side, and prints that tracing has begun and which limits apply.
fn start(
    request: &LogRequest,
    filter: &Filter,
    mut caveats: Vec<Caveat>,
) -> anyhow::Result<Tracking> {
    caveats.extend(filters::caveats(&mut Presence::new(filter)));
    let options = options(request, filter);
    let mut live = Tracking::start(&options, filter, &mut caveats)?;
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
        },
        (None, Some(path)) => Place::File(path.clone()),
        (None, None) => Place::Screen,
    }
}

/// Where records go, and the figures for progress and summary.
struct Out {
    sink: Box<dyn Sink>,
    filter: Filter,
    states: Vec<TcpState>,
    tally: Tally,
    /// The file or folder, if it is not the screen.
    place: Option<String>,
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
        let mut sink = sink::choose(destination(request), format, netns::own().ok())?;
        let header = recording::header(request.show.filters.clone());
        sink.begin(&first_line(format, &header));
        Ok(Self {
            sink,
            filter,
            states: request.show.filters.states.clone(),
            tally: Tally::new(watched_state(request)),
            place: place.map(|place| place.display().to_string()),
            progress: Progress::new(place.is_some()),
            reported_lost: 0,
        })
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        if !self.filter.passes_record(record, &self.states) {
            return Ok(());
        }
        self.tally.add(record);
        self.sink.record(record)
    }

    /// Shows the progress, and reports losses that would otherwise only be visible in the file.
    fn say_alive(&mut self) -> io::Result<()> {
        if self.place.is_none() || !self.progress.is_due() {
            return Ok(());
        }
        let tally = &self.tally;
        let lost = tally.lost + tally.untracked + tally.skipped;
        let news = lost - self.reported_lost;
        self.reported_lost = lost;
        if news > 0 {
            self.progress.clear()?;
            writeln!(
                io::stderr(),
                "tcptrace: lost: {} transitions, {} sockets, {} skipped runs so far",
                tally.lost,
                tally.untracked,
                tally.skipped
            )?;
        }
        self.progress
            .show(format_args!("{} transitions", tally.transitions))
    }

    /// Writes what still waits, and prints the summary.
    fn finish(mut self, length: Duration) -> anyhow::Result<()> {
        let finished = self.sink.finish();
        self.progress.clear()?;
        writeln!(io::stderr(), "\n{}", summary(&self.tally, length))?;
        let Finished { lines, files } = finished?;
        if let Some(place) = &self.place {
            let noun = if files == 1 { "file" } else { "files" };
            writeln!(
                io::stderr(),
                "  {:<26}{lines} lines in {files} {noun}: {place}",
                "written"
            )?;
        }
        Ok(())
    }
}

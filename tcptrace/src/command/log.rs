//! `tcptrace log`: every transition as it happens.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tcptrace_common::{HistSettings, TcpState};
use tokio::{runtime, task, time};

use crate::{
    command::{
        session::{End, resolve},
        tracking::Tracking,
    },
    model::{filter::Filter, request::LogRequest, tally::Tally, transition::Record},
    sink::{self, Sink},
    source::{
        bpf::filter,
        diag::ask::Scope,
        machine::{cgroup, netns, privileges},
        track::LogOptions,
    },
    view::log::summary::summary,
};

/// How often the buffer is read while there is something in it, and while there is nothing.
const BUSY: Duration = Duration::from_millis(25);
const QUIET: Duration = Duration::from_millis(50);
/// How often it is said that it is alive, and what was lost.
const SAY: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// When tracing cannot start, or something cannot be read or written.
pub fn run(request: &LogRequest) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(session(request))
}

async fn session(request: &LogRequest) -> anyhow::Result<()> {
    let filter = resolve(&request.show.filters.sockets)?;
    // Before anything is attached, so that a signal always ends in a summary.
    let mut end = End::new(request.duration)?;
    let useful_missing = privileges::check()?;
    let state = watched_state(request);
    let options = options(request, &filter, state);
    let scope = Scope {
        state,
        older_than_ns: 0,
        netns: filter.netns,
        family: filter.family,
    };
    let mut out = Out::new(request, filter, state)?;
    let mut notes: Vec<_> = privileges::note(&useful_missing).into_iter().collect();
    for pid in &options.pids {
        if !Path::new("/proc").join(pid.to_string()).exists() {
            notes.push(format!("there is no process {pid} now"));
        }
    }
    let mut live = Tracking::start(&options, scope, &mut notes)?;
    if options.messages {
        live.side().print_log()?;
    }
    let started = Instant::now();
    say_hello(&mut live, request.verbose, &notes)?;
    let mut wait = QUIET;
    loop {
        tokio::select! {
            biased;
            () = end.reached() => break,
            () = live.much_waits() => {}
            () = time::sleep(wait) => {}
        }
        let before = out.tally.transitions;
        while live.read(&mut |record| out.record(record))? {
            out.sink.flush()?;
            // Signals are seen while much comes, too.
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
    let finished = out.sink.finish();
    out.clear_line()?;
    writeln!(io::stderr(), "\n{}", summary(&out.tally, started.elapsed()))?;
    let finished = finished?;
    if let Some(place) = &out.place {
        let files = if finished.files == 1 { "file" } else { "files" };
        let (lines, count) = (finished.lines, finished.files);
        writeln!(
            io::stderr(),
            "  {:<26}{lines} lines in {count} {files}: {place}",
            "written"
        )?;
    }
    Ok(())
}

/// The state whose sockets are listed at the end.
fn watched_state(request: &LogRequest) -> TcpState {
    match request.show.filters.states[..] {
        [only] => only,
        _ => TcpState::CloseWait,
    }
}

fn options(request: &LogRequest, filter: &Filter, state: TcpState) -> LogOptions {
    LogOptions {
        hook: request.hook,
        accept: request.accept,
        filter: filter::by_socket(filter),
        log: filter::by_owner(filter, &request.show.filters.states),
        hist: HistSettings::default(),
        max_keys: 0,
        pids: filter.pids.clone(),
        children: request.show.filters.children,
        cgroups: (filter.cgroup.as_deref()).map_or_else(Vec::new, cgroup::ids_below),
        buffer: request.buffer,
        max_sockets: request.max_sockets,
        state,
        messages: request.verbose >= 2,
    }
}

/// Says that everything from here on is seen.
fn say_hello(live: &mut Tracking, verbose: u8, notes: &[String]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for note in notes {
        writeln!(err, "tcptrace: {note}")?;
    }
    if verbose >= 1 {
        writeln!(err, "tcptrace: tracing; {}", live.side().describe())
    } else {
        writeln!(err, "tcptrace: tracing; Ctrl-C ends")
    }
}

/// Where records go, and what is said of them.
struct Out {
    sink: Box<dyn Sink>,
    filter: Filter,
    states: Vec<TcpState>,
    tally: Tally,
    /// The file or folder, if it is not the screen.
    place: Option<String>,
    shows_life: bool,
    said: Instant,
    said_lost: u64,
}

impl Out {
    fn new(request: &LogRequest, filter: Filter, state: TcpState) -> anyhow::Result<Self> {
        let own = netns::inode_of(Path::new("/proc/self/ns/net")).ok();
        let place = request.dir.as_ref().or(request.output.as_ref());
        let filter = Filter {
            // The kernel knows the processes, their descendants included.
            pids: Vec::new(),
            ..filter
        };
        Ok(Self {
            sink: sink::choose(request, own)?,
            filter,
            states: request.show.filters.states.clone(),
            tally: Tally::new(state),
            place: place.map(|place| place.display().to_string()),
            shows_life: place.is_some() && io::stderr().is_terminal(),
            said: Instant::now(),
            said_lost: 0,
        })
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        if !self.filter.passes_record(record, &self.states) {
            return Ok(());
        }
        self.tally.add(record);
        self.sink.record(record)
    }

    /// Once a second: how much there is so far, and what is missing in a file that nobody reads
    /// now.
    fn say_alive(&mut self) -> io::Result<()> {
        if self.place.is_none() || self.said.elapsed() < SAY {
            return Ok(());
        }
        self.said = Instant::now();
        let tally = &self.tally;
        let lost = tally.lost + tally.unkept + tally.skipped;
        let news = lost - self.said_lost;
        self.said_lost = lost;
        if news > 0 {
            self.clear_line()?;
            writeln!(
                io::stderr(),
                "tcptrace: lost: {} transitions, {} sockets, {} skipped runs so far",
                self.tally.lost,
                self.tally.unkept,
                self.tally.skipped
            )?;
        }
        if self.shows_life {
            let transitions = self.tally.transitions;
            write!(io::stderr(), "\r\x1b[K{transitions} transitions")?;
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        if self.shows_life {
            write!(io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
    }
}

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
    cli::Log,
    command::session::End,
    model::{filter::Filter, tally::Tally, transition::Record},
    sink::{self, Place, Rotate, Sink},
    source::{
        diag::ask::Scope,
        machine::{cgroup, netns, privileges},
        track::{LiveLog, LogOptions},
    },
    view::{Format, log::summary::summary},
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
pub fn run(arguments: &Log) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(session(arguments))
}

async fn session(arguments: &Log) -> anyhow::Result<()> {
    // Before anything is attached, so that a signal always ends in a summary.
    let mut end = End::new(arguments.duration)?;
    let useful_missing = privileges::check()?;
    let state = watched_state(arguments);
    let options = options(arguments, state)?;
    let scope = Scope {
        state,
        older_than_ns: 0,
        netns: arguments.filters.netns,
        family: arguments.filters.family,
    };
    let mut out = Out::new(arguments, state)?;
    let mut notes: Vec<_> = privileges::note(&useful_missing).into_iter().collect();
    for pid in &arguments.filters.pid {
        if !Path::new("/proc").join(pid.to_string()).exists() {
            notes.push(format!("there is no process {pid} now"));
        }
    }
    let mut live = LiveLog::start(&options, scope, &mut notes)?;
    if options.messages {
        live.side().print_log()?;
    }
    let started = Instant::now();
    say_hello(&mut live, arguments.verbose, &notes)?;
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
fn watched_state(arguments: &Log) -> TcpState {
    match arguments.state[..] {
        [only] => only,
        _ => TcpState::CloseWait,
    }
}

fn options(arguments: &Log, state: TcpState) -> anyhow::Result<LogOptions> {
    Ok(LogOptions {
        hook: arguments.hook,
        accept: arguments.accept,
        filter: arguments.filters.kernel(),
        log: arguments.kernel_log(),
        hist: HistSettings::default(),
        max_keys: 0,
        pids: arguments.filters.pid.clone(),
        children: arguments.children,
        cgroups: (arguments.filters.cgroup.as_deref()).map_or_else(Vec::new, cgroup::ids_below),
        buffer: u32::try_from(arguments.buffer).context("--buffer")?,
        max_sockets: arguments.max_sockets,
        state,
        messages: arguments.verbose >= 2,
    })
}

/// Where the log is to go.
fn destination(arguments: &Log) -> Place {
    match (&arguments.dir, &arguments.output) {
        (Some(dir), _) => Place::Folder {
            dir: dir.clone(),
            rotate: arguments.rotate_size.map(|size| Rotate {
                size,
                keep: arguments.rotate_keep,
            }),
        },
        (None, Some(path)) => Place::File(path.clone()),
        (None, None) => Place::Screen,
    }
}

/// Says that everything from here on is seen.
fn say_hello(live: &mut LiveLog, verbose: u8, notes: &[String]) -> io::Result<()> {
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
    fn new(arguments: &Log, state: TcpState) -> anyhow::Result<Self> {
        let own = netns::inode_of(Path::new("/proc/self/ns/net")).ok();
        let place = arguments.dir.as_ref().or(arguments.output.as_ref());
        let filter = Filter {
            // The kernel knows the processes, their descendants included.
            pids: Vec::new(),
            ..arguments.filters.model()
        };
        Ok(Self {
            sink: sink::choose(destination(arguments), Format::json_if(arguments.json), own)?,
            filter,
            states: arguments.state.clone(),
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

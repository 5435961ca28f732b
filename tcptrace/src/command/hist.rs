//! `tcptrace hist`: how long sockets stay in each state.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use clap::{CommandFactory as _, error::ErrorKind};
use tcptrace_common::{HistSettings, TcpState};
use tokio::{runtime, time};

use crate::{
    cli::{Cli, Hist},
    command::session::End,
    model::{
        filter::Filter,
        hist::{
            durations::{Asked, Durations},
            key::Part,
            report::{Extent, Report, Span},
        },
    },
    sink::screen::Screen,
    source::{
        diag::ask::Scope,
        machine::{cgroup, clock::monotonic_ns, privileges},
        track::{
            LogOptions,
            histograms::{LiveHist, bits},
        },
    },
    view::{Format, hist as view, parts::clean::clean},
};

/// How often what began before the start is taken in, and it is looked whether the kernel skips runs.
const LOOK: Duration = Duration::from_millis(100);
/// How many looks pass until it is said that it is alive.
const SAY: u32 = 10;
/// Room for what began before the start: some 7000 durations that come at once.
const BUFFER: u32 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// When tracing cannot start, or something cannot be read or written.
pub fn run(arguments: &Hist) -> anyhow::Result<()> {
    if let Err(reason) = arguments.show.filters.fits_kernel() {
        Cli::command()
            .error(ErrorKind::ValueValidation, reason)
            .exit();
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(session(arguments))
}

async fn session(arguments: &Hist) -> anyhow::Result<()> {
    // Before anything is attached, so that a signal always ends in a last report.
    let mut end = End::new(arguments.duration)?;
    let useful_missing = privileges::check()?;
    let show = &arguments.show;
    let asked = show.asked();
    let options = options(arguments, &asked);
    let scope = Scope {
        state: options.state,
        older_than_ns: 0,
        netns: show.filters.netns,
        family: show.filters.family,
    };
    // The kernel knows the processes, their descendants included.
    let filter = Filter {
        pids: Vec::new(),
        ..show.filters.model()
    };
    let mut notes: Vec<_> = privileges::note(&useful_missing).into_iter().collect();
    let live = LiveHist::start(&options, scope, asked.clone(), filter, &mut notes)?;
    let begin_ns = monotonic_ns();
    let mut session = Session {
        live,
        screen: Screen::new(
            view::choose(view::Options {
                format: Format::json_if(show.json),
                top: show.top.map(|top| top as usize),
                ascii: show.ascii,
            }),
            false,
        ),
        include_open: show.include_open,
        begin_ns,
        last: Durations::new(asked),
        last_ns: begin_ns,
        shows_life: io::stderr().is_terminal(),
    };
    session.say_hello(arguments.verbose, &notes)?;
    let mut looks = ticks(LOOK);
    let mut looked: u32 = 0;
    let mut intervals = arguments.interval.map(ticks);
    if let Some(intervals) = &mut intervals {
        intervals.tick().await; // the first is at once
    }
    loop {
        let interval = async {
            match &mut intervals {
                Some(intervals) => drop(intervals.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = end.reached() => break,
            () = interval => session.interval()?,
            () = session.live.much_waits() => session.live.read()?,
            _ = looks.tick() => {
                session.live.read()?;
                looked = looked.wrapping_add(1);
                if looked.is_multiple_of(SAY) {
                    session.say_alive()?;
                }
            }
        }
    }
    session.finish(arguments.interval.is_some())?;
    Ok(())
}

/// Ticks that do not come in a burst when a report took long.
fn ticks(period: Duration) -> time::Interval {
    let mut ticks = time::interval(period);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    ticks
}

fn options(arguments: &Hist, asked: &Asked) -> LogOptions {
    let (show, filters) = (&arguments.show, &arguments.show.filters);
    let by_owner = [Part::Comm, Part::Pid, Part::Cgroup, Part::Port];
    let owned = asked.by.iter().any(|part| by_owner.contains(part))
        || !filters.pid.is_empty()
        || !filters.comm.is_empty()
        || filters.cgroup.is_some();
    let states = asked.states.iter();
    LogOptions {
        hook: arguments.hook,
        accept: arguments.accept,
        filter: filters.kernel(),
        log: filters.kernel_by_owner(),
        hist: HistSettings {
            states: states.fold(0, |mask, state| mask | 1 << state.number()),
            by: bits(&asked.by),
            unowned: u32::from(!owned),
            reserved: 0,
        },
        max_keys: show.max_keys,
        pids: filters.pid.clone(),
        children: arguments.children,
        cgroups: (filters.cgroup.as_deref()).map_or_else(Vec::new, cgroup::ids_below),
        buffer: BUFFER,
        max_sockets: arguments.max_sockets,
        state: asked.states.first().copied().unwrap_or(TcpState::CloseWait),
        messages: arguments.verbose >= 2,
    }
}

struct Session {
    live: LiveHist,
    screen: Screen<Report>,
    include_open: bool,
    /// When it began, and when the last report ended, in ns of `CLOCK_MONOTONIC`.
    begin_ns: u64,
    last_ns: u64,
    /// What that report was made of.
    last: Durations,
    shows_life: bool,
}

impl Session {
    /// All durations until now.
    fn durations(&mut self) -> io::Result<(Durations, u64)> {
        Ok((self.live.durations()?, monotonic_ns()))
    }

    /// Shows what has come since the last report.
    fn interval(&mut self) -> io::Result<()> {
        let (all, now_ns) = self.durations()?;
        self.show(&all.since(&self.last), Extent::Interval, now_ns)?;
        (self.last, self.last_ns) = (all, now_ns);
        Ok(())
    }

    fn show(&mut self, durations: &Durations, extent: Extent, now_ns: u64) -> io::Result<()> {
        let begin_ns = match extent {
            Extent::Interval => self.last_ns,
            Extent::Whole => self.begin_ns,
        };
        let span = Span {
            time: Some(SystemTime::now()),
            end_ns: now_ns,
            length_ns: now_ns.saturating_sub(begin_ns),
            extent,
        };
        let account = self.live.account();
        let report = Report::new(durations, span, self.include_open, account);
        self.clear_line()?;
        self.screen.show(&report)
    }

    /// Shows everything, and before it what is left of the last interval, so that these add up.
    fn finish(mut self, intervals: bool) -> io::Result<()> {
        self.live.stop()?;
        let (all, now_ns) = self.durations()?;
        if intervals {
            self.show(&all.since(&self.last), Extent::Interval, now_ns)?;
        }
        self.show(&all, Extent::Whole, now_ns)
    }

    /// Says that everything from here on is counted.
    fn say_hello(&mut self, verbose: u8, notes: &[String]) -> anyhow::Result<()> {
        if verbose >= 2 {
            self.live.session().side().print_log()?;
        }
        let mut err = io::stderr().lock();
        for note in notes {
            writeln!(err, "tcptrace: {}", clean(note))?;
        }
        if verbose >= 1 {
            let how = self.live.session().side().describe();
            writeln!(err, "tcptrace: counting; {how}")?;
        } else {
            writeln!(err, "tcptrace: counting; Ctrl-C ends and shows")?;
        }
        Ok(())
    }

    fn say_alive(&self) -> io::Result<()> {
        if self.shows_life {
            let counted = self.live.counted();
            write!(io::stderr(), "\r\x1b[K{counted} durations")?;
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

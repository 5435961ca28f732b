//! `tcptrace hist`: how long sockets stay in each state.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tcptrace_common::{HistSettings, TcpState};
use tokio::{runtime, time};

use crate::{
    command::{
        counting::Counting,
        session::{End, resolve},
    },
    diagnosis::hist::report::report,
    model::{
        filter::Filter,
        hist::{
            durations::Durations,
            key::Part,
            report::{Extent, Span},
        },
        request::{HistRequest, UsageError},
    },
    source::{
        bpf::filter,
        diag::ask::Scope,
        machine::{cgroup, clock::monotonic_ns, privileges},
        track::{LogOptions, histograms::bits},
    },
    view::{
        hist::{self as view, View},
        parts::clean::clean,
    },
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
pub fn run(request: &HistRequest) -> anyhow::Result<()> {
    let filter = resolve(&request.show.filters)?;
    filter::fits(&filter).map_err(|reason| UsageError::Request(clean(&reason)))?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(session(request, filter))
}

async fn session(request: &HistRequest, filter: Filter) -> anyhow::Result<()> {
    // Before anything is attached, so that a signal always ends in a last report.
    let mut end = End::new(request.duration)?;
    let useful_missing = privileges::check()?;
    let show = &request.show;
    let asked = &show.asked;
    let options = options(request, &filter);
    let scope = Scope {
        state: options.state,
        older_than_ns: 0,
        netns: filter.netns,
        family: filter.family,
    };
    // The kernel knows the processes, their descendants included.
    let filter = Filter {
        pids: Vec::new(),
        ..filter
    };
    let mut notes: Vec<_> = privileges::note(&useful_missing).into_iter().collect();
    let live = Counting::start(&options, scope, asked.clone(), filter, &mut notes)?;
    let begin_ns = monotonic_ns();
    let mut session = Session {
        live,
        view: view::choose(show),
        include_open: show.include_open,
        begin_ns,
        last: Durations::new(asked.clone()),
        last_ns: begin_ns,
        shows_life: io::stderr().is_terminal(),
    };
    session.say_hello(request.verbose, &notes)?;
    let mut looks = ticks(LOOK);
    let mut looked: u32 = 0;
    let mut intervals = request.interval.map(ticks);
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
    session.finish(request.interval.is_some())?;
    Ok(())
}

/// Ticks that do not come in a burst when a report took long.
fn ticks(period: Duration) -> time::Interval {
    let mut ticks = time::interval(period);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    ticks
}

fn options(request: &HistRequest, filter: &Filter) -> LogOptions {
    let asked = &request.show.asked;
    let by_owner = [Part::Comm, Part::Pid, Part::Cgroup, Part::Port];
    let owned = asked.by.iter().any(|part| by_owner.contains(part))
        || !filter.pids.is_empty()
        || !filter.comms.is_empty()
        || filter.cgroup.is_some();
    LogOptions {
        hook: request.hook,
        accept: request.accept,
        filter: filter::by_socket(filter),
        log: filter::by_owner(filter, &[]),
        hist: HistSettings {
            states: filter::mask(&asked.states),
            by: bits(&asked.by),
            unowned: u32::from(!owned),
            reserved: 0,
        },
        max_keys: u32::try_from(asked.max_keys).unwrap_or(u32::MAX),
        pids: filter.pids.clone(),
        children: request.children,
        cgroups: (filter.cgroup.as_deref()).map_or_else(Vec::new, cgroup::ids_below),
        buffer: BUFFER,
        max_sockets: request.max_sockets,
        state: asked.states.first().copied().unwrap_or(TcpState::CloseWait),
        messages: request.verbose >= 2,
    }
}

struct Session {
    live: Counting,
    view: Box<dyn View>,
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
        let report = report(durations, span, self.include_open, account);
        self.clear_line()?;
        self.view.report(&report)
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

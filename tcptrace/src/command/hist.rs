//! `tcptrace hist`: how long sockets stay in each state.

use std::{
    io,
    time::{Duration, SystemTime},
};

use tcptrace_common::{HistSettings, TcpState};
use tokio::time::Interval;

use crate::{
    command::{
        confinement::confine_looking,
        counting::Counting,
        filters, screens,
        session::{self, End, Progress, ticks},
    },
    diagnosis::hist::report::report,
    model::{
        caveat::Caveat,
        filter::Filter,
        hist::{
            durations::Durations,
            key::Part,
            report::{Extent, Report, Span},
        },
        request::{HistRequest, UsageError},
        sandbox::{Needs, Work},
    },
    sink::screen::Screen,
    source::{
        bpf::filter,
        machine::{
            cgroup,
            clock::monotonic_ns,
            presence::Presence,
            privileges::{self, Use},
        },
        track::{TrackOptions, histograms::bits},
    },
    view::parts::clean::clean,
};

/// How often durations that began before the start are read, and how often to check whether the
/// kernel skips runs.
const LOOK: Duration = Duration::from_millis(100);
/// How often a terminal shows what there is so far, unless reports of intervals are asked for.
const REFRESH: Duration = Duration::from_secs(10);
/// Room for durations that began before the start: about 7000 that end at once.
const BUFFER: u32 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// When tracing cannot start, or something cannot be read or written.
pub fn run(request: &HistRequest) -> anyhow::Result<()> {
    let filter = filters::resolve(&request.show.filters)?;
    filters::needs_group(&filter)?;
    filter::fits(&filter).map_err(|reason| UsageError::Request {
        reason: clean(&reason),
        advice: "replay of a recording, which takes any number: tcptrace log --json -o FILE".into(),
    })?;
    session::run(count(request, filter))
}

async fn count(request: &HistRequest, filter: Filter) -> anyhow::Result<()> {
    // Before anything is attached, so that a signal always leads to a last report.
    let mut end = End::new(request.duration)?;
    let lacking = privileges::check(Use::Programs)?;
    let caveats = lacking.into_iter().collect();
    let mut session = HistSession::start(request, filter, caveats)?;
    let mut looks = ticks(LOOK);
    let mut intervals = request.interval.map(ticks);
    let mut refreshes = session.refreshes().then(|| ticks(REFRESH));
    loop {
        let interval = next(&mut intervals);
        let refresh = next(&mut refreshes);
        tokio::select! {
            biased;
            () = end.reached() => break,
            () = interval => session.interval()?,
            () = refresh => session.refresh()?,
            () = session.live.woken() => session.live.read()?,
            _ = looks.tick() => {
                session.live.read()?;
                session.say_alive();
            }
        }
    }
    session.finish(request.interval.is_some())?;
    Ok(())
}

/// Waits for the next tick, if there are any.
async fn next(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

fn options(request: &HistRequest, filter: &Filter) -> TrackOptions {
    let selection = &request.show.selection;
    let by_owner = [Part::Comm, Part::Pid, Part::Cgroup, Part::Port];
    let owned = selection.by.iter().any(|part| by_owner.contains(part))
        || !filter.pids.is_empty()
        || !filter.comms.is_empty()
        || filter.cgroup.is_some();
    TrackOptions {
        hook: request.hook,
        accept: request.accept,
        walk: request.walk,
        filter: filter::by_socket(filter),
        owner_filter: filter::by_owner(filter, &[]),
        hist: HistSettings {
            states: filter::mask(&selection.states),
            by: bits(&selection.by),
            without_owners: u32::from(!owned),
            reserved: 0,
        },
        max_keys: u32::try_from(selection.max_keys).unwrap_or(u32::MAX),
        pids: filter.pids.clone(),
        children: request.children,
        cgroups: (filter.cgroup.as_deref()).map_or_else(Vec::new, cgroup::ids_below),
        name_cgroups: selection.by.contains(&Part::Cgroup) || filter.cgroup.is_some(),
        buffer: BUFFER,
        max_sockets: request.max_sockets,
        state: selection
            .states
            .first()
            .copied()
            .unwrap_or(TcpState::CloseWait),
        messages: request.verbose >= 2,
    }
}

struct HistSession {
    live: Counting,
    screen: Screen<Report>,
    /// On a terminal: what is redrawn in place, and whether it has been drawn.
    redrawn: Option<Screen<Report>>,
    is_drawn: bool,
    include_open: bool,
    /// When the session began, and when the last report ended, in ns of `CLOCK_MONOTONIC`.
    begin_ns: u64,
    last_ns: u64,
    /// The durations of that report.
    last: Durations,
    progress: Progress,
    /// What could not be found out at the start; every report shows it.
    caveats: Vec<Caveat>,
    /// What the filter names and nothing has had so far.
    presence: Presence,
}

impl HistSession {
    /// Attaches the kernel side, and prints that counting has begun and which limits apply.
    fn start(
        request: &HistRequest,
        filter: Filter,
        mut caveats: Vec<Caveat>,
    ) -> anyhow::Result<Self> {
        let selection = &request.show.selection;
        let options = options(request, &filter);
        let mut presence = Presence::new(&filter);
        // The kernel side applies the filter by process, because it knows the descendants.
        let filter = Filter {
            pids: Vec::new(),
            ..filter
        };
        let shown = selection.by.contains(&Part::Cgroup);
        caveats.extend(filters::about_groups(&filter, shown, None));
        let mut live = Counting::start(&options, selection.clone(), filter, &mut caveats)?;
        confine_looking(&Needs::of(Work::Hist), request.verbose);
        let begin_ns = monotonic_ns();
        let redrawn = match request.interval {
            None => screens::redrawn_hist(&request.show),
            Some(_) => None,
        };
        let end = match redrawn {
            Some(_) => "a report every 10s; Ctrl-C ends and shows all of it",
            None => "Ctrl-C ends and shows the histograms",
        };
        let mut now = caveats.clone();
        now.extend(filters::caveats(&mut presence));
        (live.session()).say_hello(request.verbose, &now, "counting", end)?;
        Ok(Self {
            live,
            screen: screens::of_hist(&request.show),
            redrawn,
            is_drawn: false,
            include_open: request.show.include_open,
            begin_ns,
            last: Durations::new(selection.clone()),
            last_ns: begin_ns,
            progress: Progress::new(true),
            caveats,
            presence,
        })
    }

    /// All durations until now.
    fn durations(&mut self) -> io::Result<(Durations, u64)> {
        Ok((self.live.durations()?, monotonic_ns()))
    }

    /// Shows the durations since the last report.
    fn interval(&mut self) -> io::Result<()> {
        let (all, now_ns) = self.durations()?;
        self.show(&all.since(&self.last), Extent::Interval, now_ns)?;
        (self.last, self.last_ns) = (all, now_ns);
        Ok(())
    }

    /// Whether what there is so far is shown from time to time.
    fn refreshes(&self) -> bool {
        self.redrawn.is_some()
    }

    /// Shows what there is so far.
    fn refresh(&mut self) -> io::Result<()> {
        let (all, now_ns) = self.durations()?;
        self.is_drawn = true;
        self.show(&all, Extent::SoFar, now_ns)
    }

    fn show(&mut self, durations: &Durations, extent: Extent, now_ns: u64) -> io::Result<()> {
        let begin_ns = match extent {
            Extent::Interval => self.last_ns,
            Extent::Whole | Extent::SoFar => self.begin_ns,
        };
        let span = Span {
            time: Some(SystemTime::now()),
            end_ns: now_ns,
            length_ns: now_ns.saturating_sub(begin_ns),
            extent,
        };
        let account = self.live.account();
        let mut report = report(durations, span, self.include_open, account);
        report.caveats.clone_from(&self.caveats);
        report.caveats.extend(self.live.unknown_groups());
        if report.groups.is_empty() {
            (report.caveats).extend(filters::caveats(&mut self.presence));
        }
        self.progress.clear();
        // The whole takes the place of what was shown last.
        match &mut self.redrawn {
            Some(redrawn) if self.is_drawn => redrawn.show(&report),
            _ => self.screen.show(&report),
        }
    }

    /// Shows the whole session. Before it, shows the rest of the last interval, so that the
    /// intervals add up to the whole.
    fn finish(mut self, intervals: bool) -> io::Result<()> {
        self.live.stop()?;
        let (all, now_ns) = self.durations()?;
        if intervals {
            self.show(&all.since(&self.last), Extent::Interval, now_ns)?;
        }
        self.show(&all, Extent::Whole, now_ns)
    }

    fn say_alive(&mut self) {
        if self.progress.is_due() {
            self.progress
                .show(format_args!("{} durations", self.live.counted()));
        }
    }
}

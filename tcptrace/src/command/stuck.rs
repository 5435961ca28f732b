//! `tcptrace stuck`: looks at intervals, and shows each snapshot.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::{self, MissedTickBehavior},
};

use crate::{
    cli::Stuck,
    model::{
        session::Session,
        snapshot::{Snapshot, Watched},
        tracker::Tracker,
    },
    source::{ask::Scope, live::Live, load::Options, privileges},
    view::{self, View},
};

/// Room for sockets that enter the state during a single look.
const SOCKETS_OF_ONE_LOOK: u32 = 65_536;

/// Runs the command.
///
/// # Errors
/// When tracing cannot start or a look fails.
pub fn run(arguments: &Stuck) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(session(arguments))
}

async fn session(arguments: &Stuck) -> anyhow::Result<()> {
    // Before anything is attached, so that a signal always ends in a summary.
    let mut end = End::new(arguments.duration)?;
    let useful_missing = privileges::check()?;
    let watched = Watched {
        state: arguments.state,
        older_than_ns: nanoseconds(arguments.older_than),
        filter: arguments.filters.model(),
    };
    let options = Options {
        state: arguments.state,
        hook: arguments.hook,
        filter: arguments.filters.kernel(),
        // One look has no time to fill a large map, and making one takes 5 ms.
        max_sockets: (arguments.max_sockets).or(arguments.once.then_some(SOCKETS_OF_ONE_LOOK)),
        log: arguments.verbose >= 2,
    };
    let scope = Scope {
        state: arguments.state,
        older_than_ns: watched.older_than_ns,
        netns: arguments.filters.netns,
        family: arguments.filters.family,
    };
    let mut live = Live::start(&options, scope, useful_missing)?;
    if arguments.verbose >= 1 {
        writeln!(io::stderr(), "tcptrace: {}", live.kernel().describe())?;
    }
    if options.log {
        live.kernel().print_log()?;
    }

    let started = Instant::now();
    let mut view: Box<dyn View> = view::choose(arguments);
    let mut tracker = Tracker::new(arguments.state);
    let mut session = Session::default();
    let mut ticks = time::interval(arguments.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // the first one is at once
    loop {
        let look = live.look().context("looking at the machine")?;
        let snapshot = Snapshot::new(look, &mut tracker, &watched);
        session.add(&snapshot, &tracker);
        view.snapshot(&snapshot)?;
        if arguments.once {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = end.reached() => break,
            _ = ticks.tick() => {}
        }
    }
    view.summary(&session, &watched, started.elapsed())?;
    Ok(())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What ends a session: Ctrl-C, SIGTERM or the time being up.
struct End {
    interrupt: Signal,
    terminate: Signal,
    deadline: Option<time::Instant>,
}

impl End {
    fn new(duration: Option<Duration>) -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("catching SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("catching SIGTERM")?,
            deadline: duration.map(|duration| time::Instant::now() + duration),
        })
    }

    async fn reached(&mut self) {
        let deadline = self.deadline;
        let time_up = async {
            match deadline {
                Some(deadline) => time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = time_up => {}
        }
    }
}

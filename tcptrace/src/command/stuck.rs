//! `tcptrace stuck`: looks at intervals, and shows each snapshot.

use std::{
    io::{self, Write as _},
    time::Instant,
};

use anyhow::Context as _;
use tokio::{
    runtime,
    time::{self, MissedTickBehavior},
};

use crate::{
    cli::Stuck,
    command::session::{End, nanoseconds},
    diagnosis::stuck::tracker::Tracker,
    model::stuck::{
        session::Session,
        snapshot::{Snapshot, Watched},
    },
    sink::screen::Screen,
    source::{bpf::load::Options, diag::ask::Scope, machine::privileges, watch::look::Live},
    view::{Format, stuck as view},
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
        state: arguments.show.state,
        older_than_ns: nanoseconds(arguments.show.older_than),
        filter: arguments.show.filters.model(),
    };
    let options = Options {
        state: arguments.show.state,
        hook: arguments.hook,
        filter: arguments.show.filters.kernel(),
        // One look has no time to fill a large map, and making one takes 5 ms.
        max_sockets: (arguments.max_sockets).or(arguments.once.then_some(SOCKETS_OF_ONE_LOOK)),
        log: arguments.verbose >= 2,
    };
    let scope = Scope {
        state: arguments.show.state,
        older_than_ns: watched.older_than_ns,
        netns: arguments.show.filters.netns,
        family: arguments.show.filters.family,
    };
    let mut live = Live::start(&options, scope, useful_missing)?;
    if arguments.verbose >= 1 {
        writeln!(io::stderr(), "tcptrace: {}", live.kernel().describe())?;
    }
    if options.log {
        live.kernel().print_log()?;
    }

    let started = Instant::now();
    let view = view::choose(view::Options {
        format: Format::json_if(arguments.show.json),
        limit: arguments.show.limit,
        all: arguments.show.all,
    });
    let mut screen = Screen::new(view, !arguments.once);
    let mut tracker = Tracker::new(arguments.show.state);
    let mut session = Session::default();
    let mut ticks = time::interval(arguments.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // the first one is at once
    loop {
        let look = live.look().context("looking at the machine")?;
        let snapshot = Snapshot::new(look, &mut tracker, &watched);
        session.add(&snapshot, &tracker);
        screen.show(&snapshot)?;
        if arguments.once {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = end.reached() => break,
            _ = ticks.tick() => {}
        }
    }
    let summary = view::summary::summary(&session, &watched, started.elapsed());
    screen.end(&summary)?;
    Ok(())
}

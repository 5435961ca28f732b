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
    command::session::{End, nanoseconds, resolve},
    diagnosis::stuck::{snapshot::snapshot, tracker::Tracker},
    model::{
        request::StuckRequest,
        stuck::{session::Session, snapshot::Watched},
    },
    source::{
        bpf::{filter, load::Options},
        diag::ask::Scope,
        machine::privileges,
        watch::look::Live,
    },
    view::stuck::{self as view, View},
};

/// Room for sockets that enter the state during a single look.
const SOCKETS_OF_ONE_LOOK: u32 = 65_536;

/// Runs the command.
///
/// # Errors
/// When tracing cannot start or a look fails.
pub fn run(request: &StuckRequest) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(session(request))
}

async fn session(request: &StuckRequest) -> anyhow::Result<()> {
    let filter = resolve(&request.show.filters)?;
    // Before anything is attached, so that a signal always ends in a summary.
    let mut end = End::new(request.duration)?;
    let useful_missing = privileges::check()?;
    let watched = Watched {
        state: request.show.state,
        older_than_ns: nanoseconds(request.show.older_than),
        filter,
    };
    let options = Options {
        state: request.show.state,
        hook: request.hook,
        filter: filter::by_socket(&watched.filter),
        // One look has no time to fill a large map, and making one takes 5 ms.
        max_sockets: (request.max_sockets).or(request.once.then_some(SOCKETS_OF_ONE_LOOK)),
        log: request.verbose >= 2,
    };
    let scope = Scope {
        state: request.show.state,
        older_than_ns: watched.older_than_ns,
        netns: watched.filter.netns,
        family: watched.filter.family,
    };
    let mut live = Live::start(&options, scope, useful_missing)?;
    if request.verbose >= 1 {
        writeln!(io::stderr(), "tcptrace: {}", live.kernel().describe())?;
    }
    if options.log {
        live.kernel().print_log()?;
    }

    let started = Instant::now();
    let mut view: Box<dyn View> = view::choose(&request.show, !request.once);
    let mut tracker = Tracker::new(request.show.state);
    let mut session = Session::default();
    let mut ticks = time::interval(request.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // the first one is at once
    loop {
        let look = live.look().context("looking at the machine")?;
        let snapshot = snapshot(look, &mut tracker, &watched);
        session.add(&snapshot, tracker.found(), tracker.left_unseen());
        view.snapshot(&snapshot)?;
        if request.once {
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

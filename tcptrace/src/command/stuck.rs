//! `tcptrace stuck`: looks at the machine at intervals, and shows each snapshot.

use std::{io, mem, time::Instant};

use anstream::adapter::strip_str;
use anyhow::Context as _;

use crate::{
    command::{
        Outcome,
        confinement::confine_looking,
        filters::{self, Others},
        screens,
        session::{self, End, nanoseconds, ticks},
    },
    diagnosis::{
        cause::{History, asks, diagnose},
        stuck::{order::sort, snapshot::snapshot, tracker::Tracker},
    },
    model::{
        request::StuckRequest,
        sandbox::{Needs, Work},
        stuck::{session::SessionSummary, snapshot::Watched},
    },
    sink::{messages, screen::Follow},
    source::{
        bpf::filter,
        clues::ClueReader,
        diag::ask::Scope,
        machine::{
            presence::Presence,
            privileges::{self, Use},
            time_namespace,
        },
        watch::{WatchOptions, look::Live},
    },
    view::{Page, stuck::summary::summary},
};

/// Runs the command.
///
/// # Errors
/// When tracing cannot start or a look fails.
pub fn run(request: &StuckRequest) -> anyhow::Result<Outcome> {
    let watched = Watched {
        state: request.show.state,
        older_than_ns: nanoseconds(request.show.older_than),
        filter: filters::resolve(&request.show.filters)?,
        filters: request.show.filters.clone(),
    };
    if request.once {
        once(request, &watched)
    } else {
        session::run(watch(request, watched))
    }
}

/// A single look: nothing to wait for, and nothing to end.
fn once(request: &StuckRequest, watched: &Watched) -> anyhow::Result<Outcome> {
    let mut live = start(request, watched)?;
    let look = live.look().context("looking at the machine")?;
    let mut presence = Presence::new(&watched.filter);
    presence.unmatched.see_look(&look);
    // Only where something that is named has not been seen.
    let unfiltered = (!presence.unmatched.is_empty()).then(|| look.clone());
    let groups = filters::about_groups_of(&watched.filter, &look, request.show.json);
    let mut snapshot = snapshot(look, &mut Tracker::once(watched.state), watched);
    let clues = ClueReader::default().read(&asks(&snapshot));
    diagnose(&mut snapshot, &clues, None);
    let matched = filters::any_in(&snapshot);
    let caveats =
        filters::of_one_look(&mut presence, &watched.filter, matched, "tcptrace", || {
            Others::of(unfiltered?, watched)
        })?;
    snapshot.caveats.extend(caveats.into_iter().chain(groups));
    sort(&mut snapshot, request.show.sort);
    screens::check_explained(&request.show, &snapshot)?;
    if !request.show.quiet {
        screens::of_stuck(&request.show, request.verbose > 0, Follow::Once).show(&snapshot)?;
    }
    let outcome = Outcome::of(&request.show, &snapshot);
    // The process ends now: giving back its memory piece by piece would take longer than the walk.
    mem::forget((live, snapshot));
    Ok(outcome)
}

async fn watch(request: &StuckRequest, watched: Watched) -> anyhow::Result<Outcome> {
    // Before anything is attached, so that a signal always leads to a summary.
    let mut end = End::new(request.duration)?;
    let mut live = start(request, &watched)?;
    let started = Instant::now();
    let mut screen = screens::of_stuck(&request.show, request.verbose > 0, Follow::InPlace);
    let quiet = request.show.quiet;
    let mut tracker = Tracker::new(watched.state);
    let (mut clues, mut history) = (ClueReader::default(), History::default());
    let mut session = SessionSummary::default();
    let mut ticks = ticks(request.interval);
    let mut presence = Presence::new(&watched.filter);
    let ended = loop {
        let look = live.look().context("looking at the machine")?;
        presence.unmatched.see_look(&look);
        let groups = filters::about_groups_of(&watched.filter, &look, request.show.json);
        let mut snapshot = snapshot(look, &mut tracker, &watched);
        let clues = clues.read(&asks(&snapshot));
        diagnose(&mut snapshot, &clues, Some(&mut history));
        let caveats = filters::caveats(&mut presence).chain(groups);
        snapshot.caveats.extend(caveats);
        sort(&mut snapshot, request.show.sort);
        session.add(&snapshot);
        snapshot.began_ns = Some(session.began_ns);
        if !quiet && let Err(error) = screen.show(&snapshot) {
            break Err(error);
        }
        tokio::select! {
            biased;
            () = end.reached() => break Ok(Outcome::of(&request.show, &snapshot)),
            _ = ticks.tick() => {}
        }
    };
    let summary = |page| summary(&session, &watched, started.elapsed(), page);
    match &ended {
        Ok(_) if quiet => {}
        Ok(_) => screen.end(summary)?,
        // Nobody is there to read it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(_) => messages::print(strip_str(&summary(Page::UNLIMITED))),
    }
    Ok(ended?)
}

/// Attaches the kernel side unless it looks only once, and prints how it works if the user asks for
/// it.
fn start(request: &StuckRequest, watched: &Watched) -> anyhow::Result<Live> {
    time_namespace::check()?;
    let lacking = privileges::check(match request.once {
        true => Use::Look,
        false => Use::Programs,
    })?;
    let options = WatchOptions {
        state: watched.state,
        hook: request.hook,
        filter: filter::by_socket(&watched.filter),
        filters_all: filter::is_by_socket(&watched.filter),
        max_sockets: request.max_sockets,
        messages: request.verbose >= 2,
    };
    let scope = Scope {
        state: watched.state,
        older_than_ns: watched.older_than_ns,
        netns: watched.filter.netns,
        family: watched.filter.family,
    };
    let mut live = if request.once {
        Live::once(request.walk, scope, lacking)?
    } else {
        Live::start(&options, request.walk, scope, lacking)?
    };
    if request.verbose >= 1 {
        messages::tell(live.describe());
    }
    if let Some(kernel) = live.kernel().filter(|_| options.messages) {
        kernel.print_messages(|text| messages::print(text))?;
    }
    confine_looking(&Needs::of(Work::Stuck), request.verbose);
    Ok(live)
}

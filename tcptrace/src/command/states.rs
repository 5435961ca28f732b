//! `tcptrace states`: counts sockets by state at intervals.

use std::time::SystemTime;

use anyhow::Context as _;
use tcptrace_common::TcpState;

use crate::{
    command::{
        confinement::confine_looking,
        filters, screens,
        session::{self, End, ticks},
    },
    diagnosis::states::tally::Tally,
    model::{
        caveat::Caveat,
        filter::Filter,
        request::StatesRequest,
        sandbox::{Needs, Work},
        states::{
            counts::Counts,
            report::{By, Report},
        },
    },
    sink::{messages, screen::Follow},
    source::{
        diag::ask::Scope,
        machine::{
            clock::monotonic_ns,
            presence::Presence,
            privileges::{self, Use},
            restrictions, time_namespace,
        },
        walk::census::{Census, CensusScope},
    },
};

/// Runs the command.
///
/// # Errors
/// When a look fails.
pub fn run(request: &StatesRequest) -> anyhow::Result<()> {
    let filter = filters::resolve(&request.filters)?;
    if !request.once {
        return session::run(watch(request, filter));
    }
    let mut counting = Counting::start(request, filter.clone())?;
    let mut report = counting.look()?;
    let matched = report.all != Counts::default();
    let presence = &mut counting.presence;
    (report.caveats).extend(filters::of_one_look(
        presence,
        &filter,
        matched,
        "tcptrace states",
        || None,
    )?);
    screens::of_states(request, Follow::Once).show(&report)?;
    // The process ends now: giving back its memory piece by piece would take long.
    std::mem::forget(counting);
    Ok(())
}

async fn watch(request: &StatesRequest, filter: Filter) -> anyhow::Result<()> {
    let mut end = End::new(request.duration)?;
    let mut counting = Counting::start(request, filter)?;
    let mut screen = screens::of_states(request, Follow::InPlace);
    let mut ticks = ticks(request.interval);
    loop {
        let mut report = counting.look()?;
        (report.caveats).extend(filters::caveats(&mut counting.presence));
        screen.show(&report)?;
        tokio::select! {
            biased;
            () = end.reached() => return Ok(()),
            _ = ticks.tick() => {}
        }
    }
}

/// Looks and counts.
struct Counting {
    census: Census,
    tally: Tally,
    presence: Presence,
    /// What this process may not do.
    lacking: Option<Caveat>,
    /// What is to be said about control groups.
    groups: Option<Caveat>,
}

impl Counting {
    fn start(request: &StatesRequest, filter: Filter) -> anyhow::Result<Self> {
        time_namespace::check()?;
        let lacking = privileges::check(Use::Look)?;
        restrictions::lift_memory_limit();
        let by = |part| request.by.contains(&part);
        let wanted = CensusScope {
            scope: Scope {
                // It asks about all of them.
                state: TcpState::Established,
                older_than_ns: 0,
                netns: filter.netns,
                family: filter.family,
            },
            with_ends: by(By::Remote)
                || by(By::Port)
                || !filter.ports.is_empty()
                || !filter.remotes.is_empty()
                || filter.family.is_some(),
            with_cgroups: by(By::Cgroup) || by(By::Container) || filter.cgroup.is_some(),
            with_holders_cgroups: filter.cgroup.is_some(),
        };
        let census = Census::start(request.walk, wanted)?;
        if request.verbose >= 1 {
            messages::tell(format_args!("sockets are found by {}", census.describe()));
        }
        confine_looking(&Needs::of(Work::States), request.verbose);
        Ok(Self {
            census,
            presence: Presence::new(&filter),
            groups: filters::about_groups(&filter, by(By::Cgroup) || by(By::Container), None),
            tally: Tally::new(request.by.clone(), filter),
            lacking,
        })
    }

    fn look(&mut self) -> anyhow::Result<Report> {
        let (time, now_ns) = (SystemTime::now(), monotonic_ns());
        let (tally, unmatched) = (&mut self.tally, &mut self.presence.unmatched);
        let found = self.census.look(&mut |member, listed| {
            unmatched.see_member(&member);
            tally.add(member, listed);
        });
        let mut caveats = found.context("looking at the machine")?;
        caveats.extend(self.lacking.clone());
        caveats.extend(self.groups.clone());
        Ok(tally.report(time, now_ns, caveats))
    }
}

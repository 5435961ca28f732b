//! What `log` and `hist` share: the kernel side that traces transitions, and the rules that
//! interpret them.

use std::{collections::HashSet, io};

use tcptrace_common::{HistKey, TcpState, TrackCounters};

use crate::{
    command::session::warn,
    diagnosis::{
        log::{open, residue::residue, transitions::Transitions},
        stuck::before::Before,
    },
    model::{
        caveat::Caveat,
        filter::Filter,
        stuck::look::Descriptors,
        track::{OpenCgroups, OpenSockets},
        transition::{Record, StillOpen},
    },
    sink::messages,
    source::{
        diag::ask::Scope,
        machine::process,
        track::{Batch, KernelSide, LiveTransitions, TrackOptions},
    },
};

/// The function that takes each record.
pub type Each<'a> = dyn FnMut(Record) -> io::Result<()> + 'a;

/// A running session that traces and interprets transitions.
pub struct Tracking {
    live: LiveTransitions,
    rules: Transitions,
    /// The state whose sockets are listed at the end.
    state: TcpState,
    /// Whether control groups matter all the time, and not at the end alone.
    by_cgroup: bool,
}

impl Tracking {
    /// Attaches the kernel side and lists the sockets that already exist, within the filter;
    /// `caveats` receives what could not be found out.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &TrackOptions,
        filter: &Filter,
        caveats: &mut Vec<Caveat>,
    ) -> anyhow::Result<Self> {
        let state = options.state;
        let scope = Scope {
            state,
            older_than_ns: 0,
            netns: filter.netns,
            family: filter.family,
        };
        let (live, before) = LiveTransitions::start(options, scope, caveats)?;
        Ok(Self {
            live,
            rules: Transitions::new(Before::start(before)),
            state,
            by_cgroup: filter.cgroup.is_some() || options.hist.by & HistKey::CGROUP != 0,
        })
    }

    /// Prints the caveats and the line that tracing has begun: what the session is `doing`, and
    /// what will `end` it, or, if `verbose`, how the kernel side works here. With more verbosity it
    /// also prints the kernel side's messages.
    ///
    /// # Errors
    /// When the ring of messages cannot be read.
    pub fn say_hello(
        &mut self,
        verbose: u8,
        caveats: &[Caveat],
        doing: &str,
        end: &str,
    ) -> anyhow::Result<()> {
        if verbose >= 2 {
            self.side().print_messages(|text| messages::print(text))?;
        }
        let how = match verbose {
            0 => end.to_owned(),
            _ => self.side().describe(),
        };
        warn(caveats);
        messages::tell(format_args!("{doing}; {how}"));
        Ok(())
    }

    /// The source of the transitions.
    pub fn live(&mut self) -> &mut LiveTransitions {
        &mut self.live
    }

    /// The kernel side.
    pub fn side(&mut self) -> &mut KernelSide {
        self.live.side()
    }

    /// Waits until many records wait to be read. A few records do not wake the reader, so read from
    /// time to time anyway.
    pub async fn woken(&self) {
        self.live.woken().await;
    }

    /// Gives the records that wait to `each`, up to one batch; returns whether there may be more.
    ///
    /// # Errors
    /// When the kernel side cannot be read, or an error from `each`.
    pub fn read(&mut self, each: &mut Each<'_>) -> io::Result<bool> {
        let batch = self.live.read()?;
        let more = batch.more;
        judge(&mut self.rules, batch, each)?;
        Ok(more)
    }

    /// Stops tracing, and gives the remaining records to `each`.
    ///
    /// # Errors
    /// The same as [`read`](Self::read).
    pub fn stop(&mut self, each: &mut Each<'_>) -> io::Result<()> {
        let rules = &mut self.rules;
        self.live.stop(&mut |batch| judge(rules, batch, each))
    }

    /// Gives the remaining records to `each`, and then the sockets that are still in the state, and
    /// those that were reset and are still open.
    ///
    /// # Errors
    /// When something cannot be read, or an error from `each`.
    pub fn finish(&mut self, each: &mut Each<'_>) -> io::Result<()> {
        self.stop(each)?;
        let facts = self.live.open(&[self.state])?;
        let residue = residue(&facts);
        let cgroups = self.cgroups(&facts);
        let open = open::still_open(facts, self.rules.before(), &cgroups);
        let mut all = open.into_iter().chain(residue);
        all.try_for_each(|open| each(Record::StillOpen(open)))
    }

    /// The sockets that are in one of these states now, or were in one when tracing stopped.
    ///
    /// # Errors
    /// When the kernel side or `/proc` cannot be read.
    pub fn still_open(&mut self, states: &[TcpState]) -> io::Result<Vec<StillOpen>> {
        let facts = self.live.open(states)?;
        let cgroups = match self.by_cgroup {
            true => self.cgroups(&facts),
            false => OpenCgroups::default(),
        };
        Ok(open::still_open(facts, self.rules.before(), &cgroups))
    }

    /// The control groups of what is open and of its holders.
    fn cgroups(&mut self, facts: &OpenSockets) -> OpenCgroups {
        let ids = facts.listed.iter().filter_map(|one| one.details.cgroup_id);
        let held = facts.descriptors.iter().flat_map(Descriptors::all);
        let pids: HashSet<u32> = held.map(|one| one.holder.pid).collect();
        let of_process = |pid| Some((pid, process::cgroup(pid)?));
        OpenCgroups {
            by_id: self.live.cgroups().paths(ids),
            by_pid: pids.into_iter().filter_map(of_process).collect(),
        }
    }

    /// How often the path of an owner's control group was not known.
    pub fn unnamed_groups(&mut self) -> u64 {
        self.live.unnamed_groups()
    }

    /// The kernel side's counters as of the last read.
    #[must_use]
    pub fn counted(&self) -> TrackCounters {
        self.live.counted()
    }
}

/// Gives each transition of a batch to `each`, and then the losses.
fn judge(rules: &mut Transitions, mut batch: Batch<'_>, each: &mut Each<'_>) -> io::Result<()> {
    let loss = batch.loss.take();
    if let Some(loss) = &loss {
        rules.doubt(loss);
    }
    for seen in batch.transitions() {
        each(Record::Transition(rules.judge(seen)))?;
    }
    // After the transitions, because the loss happened at some time until now.
    loss.map_or(Ok(()), |loss| each(Record::Loss(loss)))
}

//! What `log` and `hist` share: the kernel side that traces transitions, and the rules that
//! interpret them.

use std::io::{self, Write as _};

use tcptrace_common::{TcpState, TrackCounters};

use crate::{
    command::session::warn,
    diagnosis::{
        log::{open, residue::residue, transitions::Transitions},
        stuck::before::Before,
    },
    model::{
        caveat::Caveat,
        filter::Filter,
        transition::{Record, StillOpen},
    },
    source::{
        diag::ask::Scope,
        track::{Batch, KernelSide, LiveTransitions, TrackOptions},
    },
};

/// The function that takes each record.
pub type Each<'a> = dyn FnMut(&Record) -> io::Result<()> + 'a;

/// A running session that traces and interprets transitions.
pub struct Tracking {
    live: LiveTransitions,
    rules: Transitions,
    pids: Vec<u32>,
    /// The state whose sockets are listed at the end.
    state: TcpState,
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
            pids: options.pids.clone(),
            state,
        })
    }

    /// Prints the caveats and the line that tracing has begun: what the session is `doing`, and
    /// what will `end` it, or, if `verbose`, how the kernel side works here. With more verbosity it
    /// also prints the kernel side's messages.
    ///
    /// # Errors
    /// When the ring of messages cannot be read or standard error cannot be written.
    pub fn say_hello(
        &mut self,
        verbose: u8,
        caveats: &[Caveat],
        doing: &str,
        end: &str,
    ) -> anyhow::Result<()> {
        if verbose >= 2 {
            self.side().print_messages()?;
        }
        let how = match verbose {
            0 => end.to_owned(),
            _ => self.side().describe(),
        };
        warn(caveats)?;
        writeln!(io::stderr(), "tcptrace: {doing}; {how}")?;
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
        let residue = residue(&facts, &self.pids);
        let open = open::still_open(facts, self.rules.before(), &self.pids);
        let mut all = open.into_iter().chain(residue);
        all.try_for_each(|open| each(&Record::StillOpen(open)))
    }

    /// The sockets that are in one of these states now, or were in one when tracing stopped.
    ///
    /// # Errors
    /// When the kernel side or `/proc` cannot be read.
    pub fn still_open(&mut self, states: &[TcpState]) -> io::Result<Vec<StillOpen>> {
        let facts = self.live.open(states)?;
        Ok(open::still_open(facts, self.rules.before(), &self.pids))
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
        each(&Record::Transition(rules.judge(seen)))?;
    }
    // After the transitions, because the loss happened at some time until now.
    loss.map_or(Ok(()), |loss| each(&Record::Loss(loss)))
}

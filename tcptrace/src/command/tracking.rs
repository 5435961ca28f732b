//! What `log` and `hist` share: the kernel side that traces transitions, and the rules that judge them.

use std::io::{self, Write as _};

use tcptrace_common::{TcpState, TrackCounters};

use crate::{
    command::session::warn,
    diagnosis::{
        log::{open, transitions::Transitions},
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

/// What is done with each record.
pub type Each<'a> = dyn FnMut(&Record) -> io::Result<()> + 'a;

/// Transitions that are being traced and judged.
pub struct Tracking {
    live: LiveTransitions,
    rules: Transitions,
    pids: Vec<u32>,
    /// The state whose sockets are listed at the end.
    state: TcpState,
}

impl Tracking {
    /// Attaches the kernel side and finds out what is there already, as far as the filter goes;
    /// `caveats` gets what could not be found out.
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

    /// Says what could not be found out, and that everything is seen from here on: `doing` what, and
    /// how `end` comes, or when it is to be `verbose` how it works here; prints the kernel side's
    /// messages where it is to be very verbose.
    ///
    /// # Errors
    /// When the ring of messages cannot be read or standard error not be written.
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

    /// Waits until much waits to be read. For little nobody is woken: come from time to time.
    pub async fn woken(&self) {
        self.live.woken().await;
    }

    /// Gives what waits to `each`, up to a batch; whether there may be more.
    ///
    /// # Errors
    /// When the kernel side cannot be read, or what `each` gives.
    pub fn read(&mut self, each: &mut Each<'_>) -> io::Result<bool> {
        let batch = self.live.read()?;
        let more = batch.more;
        judge(&mut self.rules, batch, each)?;
        Ok(more)
    }

    /// Sees no more, and gives the rest of what waits to `each`.
    ///
    /// # Errors
    /// As those of [`read`](Self::read).
    pub fn stop(&mut self, each: &mut Each<'_>) -> io::Result<()> {
        let rules = &mut self.rules;
        self.live.stop(&mut |batch| judge(rules, batch, each))
    }

    /// Gives the rest of what waits to `each`, and then the sockets that are still in the state.
    ///
    /// # Errors
    /// When something cannot be read, or what `each` gives.
    pub fn finish(&mut self, each: &mut Each<'_>) -> io::Result<()> {
        self.stop(each)?;
        let mut open = self.still_open(&[self.state])?.into_iter();
        open.try_for_each(|open| each(&Record::StillOpen(open)))
    }

    /// The sockets that are in one of these states now, or were when the last was seen.
    ///
    /// # Errors
    /// When the kernel side or `/proc` cannot be read.
    pub fn still_open(&mut self, states: &[TcpState]) -> io::Result<Vec<StillOpen>> {
        let facts = self.live.open(states)?;
        Ok(open::still_open(facts, self.rules.before(), &self.pids))
    }

    /// What the kernel side had counted when it was read last.
    #[must_use]
    pub fn counted(&self) -> TrackCounters {
        self.live.counted()
    }
}

/// Gives each transition of a batch to `each`, and then what was lost.
fn judge(rules: &mut Transitions, mut batch: Batch<'_>, each: &mut Each<'_>) -> io::Result<()> {
    let loss = batch.loss.take();
    if let Some(loss) = &loss {
        rules.doubt(loss);
    }
    for seen in batch.transitions() {
        each(&Record::Transition(rules.judge(seen)))?;
    }
    // After the transitions, for it was lost at some time until now.
    loss.map_or(Ok(()), |loss| each(&Record::Loss(loss)))
}

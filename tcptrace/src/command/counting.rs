//! Durations that are being counted. The kernel counts most of them; those that began before the
//! start are reported one by one.

use std::io;

use tcptrace_common::TcpState;

use crate::{
    command::tracking::Tracking,
    diagnosis::hist::live::LiveDurations,
    model::{
        caveat::Caveat,
        filter::Filter,
        hist::{
            durations::{Durations, Selection},
            report::Account,
        },
        transition::Record,
    },
    source::{machine::cgroup, track::TrackOptions},
};

/// A session of `hist`.
pub struct Counting {
    tracking: Tracking,
    selection: Selection,
    durations: LiveDurations,
}

impl Counting {
    /// Attaches the kernel side and lists the sockets that already exist. `filter` applies to
    /// durations that are reported one by one; `caveats` receives what could not be found out.
    ///
    /// # Errors
    /// When tracing cannot start.
    pub fn start(
        options: &TrackOptions,
        selection: Selection,
        filter: Filter,
        caveats: &mut Vec<Caveat>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            tracking: Tracking::start(options, &filter, caveats)?,
            durations: LiveDurations::new(selection.clone(), filter),
            selection,
        })
    }

    /// The underlying transitions.
    pub fn session(&mut self) -> &mut Tracking {
        &mut self.tracking
    }

    /// Waits until enough records wait to be read.
    pub async fn woken(&self) {
        self.tracking.woken().await;
    }

    /// Reads and counts the records that wait.
    ///
    /// # Errors
    /// When the kernel side cannot be read.
    pub fn read(&mut self) -> io::Result<()> {
        let mut each = |record: Record| {
            self.durations.add(&record);
            Ok(())
        };
        while self.tracking.read(&mut each)? {}
        Ok(())
    }

    /// Stops tracing.
    ///
    /// # Errors
    /// When the kernel side cannot be read.
    pub fn stop(&mut self) -> io::Result<()> {
        self.tracking.stop(&mut |record| {
            self.durations.add(&record);
            Ok(())
        })
    }

    /// All durations until now, and the sockets that are open.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn durations(&mut self) -> io::Result<Durations> {
        self.read()?;
        let Selection { states, by, .. } = &self.selection;
        let mut all = self.durations.all();
        let live = self.tracking.live();
        live.counts(states, by, &mut |count| all.count(count))?;
        // The kernel lists half-open connections as if they were sockets in that state.
        let half_open = |state: &TcpState| *state == TcpState::SynRecv;
        let states: Vec<_> = (states.iter().copied())
            .filter(|state| !half_open(state))
            .collect();
        let open = self.tracking.still_open(&states)?;
        Ok(all.with_open(&open))
    }

    /// How many durations the kernel has counted.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.tracking.counted().counted
    }

    /// What is to be said about control groups after a count.
    pub fn unknown_groups(&mut self) -> Option<Caveat> {
        let unnamed = self.tracking.unnamed_groups();
        // Where not every group can be reached, that is said.
        (unnamed > 0 && cgroup::sees_all()).then_some(Caveat::UnknownControlGroups(unnamed))
    }

    /// What was lost or could not be counted.
    #[must_use]
    pub fn account(&mut self) -> Account {
        let counted = self.tracking.counted();
        let side = self.tracking.side();
        Account {
            hook: Some(side.hook()),
            unkeyed: counted.unkeyed,
            lost: self.durations.lost,
            untracked: counted.untracked,
            skipped: side.skipped().map(|_| self.durations.skipped),
            unfollowed: counted.unfollowed,
        }
    }
}

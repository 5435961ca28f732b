//! The result for a state after a log has been read to its end.

use std::time::SystemTime;

use tcptrace_common::TcpState;

use crate::{
    diagnosis::recording::origin::Origin,
    model::{caveat::Caveat, socket::Socket, stuck::look::Tracing},
};

/// Figures and caveats beside the sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Sockets that entered the state.
    pub entered: u64,
    /// Sockets that left it.
    pub left: u64,
    /// Lost transitions, sockets and runs, according to the log.
    pub lost: [u64; 3],
    /// Transitions that do not begin in the state that the socket was in.
    pub contradictions: u64,
    /// Transitions into the state by sockets that cannot be identified.
    pub unidentified: u64,
    /// Sockets in the state for which there was no room: at most so many were in it at the end.
    pub unkept: u64,
    /// How often the machine was rebooted.
    pub restarts: u64,
    /// How the recording was made.
    pub origin: Origin,
    /// A bit for each state that every transition is into or out of.
    common: u16,
}

/// The sockets when the log ended.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The state that they are in.
    pub state: TcpState,
    /// The log's end: `CLOCK_MONOTONIC` in ns, and wall-clock time; `None` without any record.
    pub end: Option<(u64, SystemTime)>,
    /// Sockets that were in the state.
    pub sockets: Vec<Socket>,
    /// Sockets that may have been in it.
    pub doubtful: Vec<Socket>,
    /// Further figures.
    pub facts: Facts,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            entered: 0,
            left: 0,
            lost: [0; 3],
            contradictions: 0,
            unidentified: 0,
            unkept: 0,
            restarts: 0,
            origin: Origin::default(),
            common: u16::MAX,
        }
    }
}

impl Facts {
    /// Counts a transition; `state` is the requested state.
    pub fn count(&mut self, state: TcpState, from: TcpState, to: TcpState) {
        self.entered += u64::from(to == state);
        self.left += u64::from(from == state);
        self.common &= bit(from) | bit(to);
    }

    /// What makes the answer about sockets in `state` less than certain. `any` says whether there are
    /// such sockets.
    #[must_use]
    pub fn caveats(&self, state: TcpState, any: bool) -> Vec<Caveat> {
        let mut caveats = Vec::new();
        let [transitions, sockets, runs] = self.lost;
        if transitions > 0 || sockets > 0 || runs > 0 {
            caveats.push(Caveat::LostWhileRecorded {
                transitions,
                sockets,
                runs,
            });
        }
        if self.contradictions > 0 {
            caveats.push(Caveat::Contradictions(self.contradictions));
        }
        if self.unidentified > 0 {
            caveats.push(Caveat::Unidentified {
                count: self.unidentified,
                state,
            });
        }
        if self.unkept > 0 {
            caveats.push(Caveat::NotKept {
                count: self.unkept,
                state,
            });
        }
        if self.restarts > 0 {
            caveats.push(Caveat::Restarts(self.restarts));
        }
        caveats.extend(self.origin.caveats());
        if any && self.origin.leaves_out(state) {
            caveats.push(Caveat::LeavingLeftOut(state));
        } else if any && !self.origin.is_told() {
            caveats.extend(self.guessed_state(state));
        }
        caveats
    }

    /// If no header says how it was recorded: the only state that its transitions are into or out
    /// of, if that is not the requested one.
    fn guessed_state(&self, asked: TcpState) -> Option<Caveat> {
        let mut states = TcpState::ALL.into_iter();
        let only = states.find(|s| self.common & bit(*s) != 0)?;
        let other = self.common & bit(asked) == 0;
        other.then_some(Caveat::OnlyTransitionsOf { only, asked })
    }

    /// The same in the form of the counters of a live session.
    #[must_use]
    pub fn tracing(&self) -> Tracing {
        let [transitions, sockets, runs] = self.lost;
        Tracing {
            hook: None,
            entered: self.entered,
            left: self.left,
            lost: transitions.saturating_add(sockets),
            filtered: false,
            recursion_misses: Some(runs),
        }
    }
}

fn bit(state: TcpState) -> u16 {
    1 << state.number()
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState::{CloseWait, Established, LastAck};

    use super::*;
    use crate::{
        fixtures::recording_header, model::recording::RecordingHeader, view::parts::caveat,
    };

    #[test]
    fn a_log_that_says_its_filters_is_not_guessed_at() {
        let notes = |header: &RecordingHeader| {
            let mut facts = Facts::default();
            facts.origin.header(header);
            for (from, to) in [(Established, CloseWait), (CloseWait, LastAck)] {
                facts.origin.record();
                facts.count(LastAck, from, to);
            }
            caveat::texts(&facts.caveats(LastAck, true))
        };
        let mut header = recording_header();
        assert_eq!(notes(&header), Vec::<String>::new());
        header.filters.states = vec![CloseWait];
        assert_eq!(
            notes(&header),
            [
                "it was recorded with --state CLOSE_WAIT: it does not contain what these filters \
                 leave out",
                "its --state leaves out which sockets have left LAST_ACK since"
            ]
        );
        header.filters.states.push(LastAck);
        assert_eq!(notes(&header).len(), 1);
    }
}

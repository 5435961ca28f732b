//! The summary of a whole log.

use tcptrace_common::{Ending, TcpState};

use crate::model::{open_groups::OpenGroups, socket::Precision, transition::Record};

/// The figures of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The state that is counted separately.
    pub state: TcpState,
    /// Transitions.
    pub transitions: u64,
    /// Those whose owner is unknown.
    pub without_owner: u64,
    /// Transitions into the state.
    pub entered: u64,
    /// Transitions out of it.
    pub left: u64,
    /// Of these, how many were resets while a process had the socket open.
    pub reset_still_open: u64,
    /// Of these, how many sockets no process had closed at the end.
    pub residue: u64,
    /// Of those that left, how many were closed by their process before the peer's FIN came, so that
    /// the kernel keeps a small entry at most.
    pub to_remainder: u64,
    /// Of those that left, how many left in a way that is not known.
    pub unknown_endings: u64,
    /// The longest time in the state that was seen, in ns, and whether it is exact.
    pub longest: Option<(u64, bool)>,
    /// Sockets in the state at the end.
    pub still_open: u64,
    /// What was open at the end.
    pub open: OpenGroups,
    /// Transitions that did not fit into the buffer.
    pub lost: u64,
    /// Sockets that did not fit into the table.
    pub untracked: u64,
    /// Runs of the programs that the kernel skipped.
    pub skipped: u64,
    /// Descendants of followed processes that could not be followed.
    pub unfollowed: u64,
    /// How often the path of an owner's control group was not known.
    pub unnamed_groups: u64,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(state: TcpState) -> Self {
        Self {
            state,
            transitions: 0,
            without_owner: 0,
            entered: 0,
            left: 0,
            reset_still_open: 0,
            residue: 0,
            to_remainder: 0,
            unknown_endings: 0,
            longest: None,
            still_open: 0,
            open: OpenGroups::default(),
            lost: 0,
            untracked: 0,
            skipped: 0,
            unfollowed: 0,
            unnamed_groups: 0,
        }
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        if let Record::StillOpen(open) = record {
            self.open.add(open);
        }
        match record {
            Record::Transition(transition) => {
                self.transitions += 1;
                self.without_owner += u64::from(transition.owner().is_none());
                self.entered += u64::from(transition.to == self.state);
                if transition.from == self.state {
                    self.left += 1;
                    match transition.ending {
                        Ending::ResetStillOpen => self.reset_still_open += 1,
                        Ending::ToRemainder => self.to_remainder += 1,
                        Ending::Unknown => self.unknown_endings += 1,
                        Ending::Closed | Ending::Reset => {}
                    }
                    if let Some((ns, precision)) = transition.duration.known() {
                        self.lasted(ns, precision == Precision::Exact);
                    }
                }
            }
            Record::StillOpen(open) if open.residue_of.is_some() => {
                self.residue += u64::from(open.residue_of == Some(self.state));
            }
            Record::StillOpen(open) => {
                self.still_open += 1;
                self.lasted(open.age_ns(), open.socket.since.is_exact());
            }
            Record::Loss(loss) => {
                self.lost += loss.transitions;
                self.untracked += loss.sockets;
                self.skipped += loss.runs;
            }
        }
    }

    fn lasted(&mut self, ns: u64, exact: bool) {
        if self.longest.is_none_or(|(longest, _)| ns > longest) {
            self.longest = Some((ns, exact));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{
        fixtures::transition,
        model::{
            socket::{Since, Socket},
            transition::{Loss, StillOpen},
        },
    };

    #[test]
    fn resets_that_leave_it_open_are_counted_apart() {
        let mut tally = Tally::new(TcpState::CloseWait);
        for (cookie, from) in (1..).zip([TcpState::CloseWait, TcpState::Established]) {
            let mut seen = transition(cookie, from, TcpState::Close, 9);
            seen.ending = Ending::ResetStillOpen;
            tally.add(&Record::Transition(seen.clone()));
            let since = Since::Exact(9);
            tally.add(&Record::StillOpen(StillOpen {
                time: UNIX_EPOCH,
                monotonic_ns: 80,
                socket: Socket::logged(seen.socket, TcpState::Close, since, None),
                residue_of: Some(from),
            }));
        }
        for ending in Ending::ALL {
            let mut seen = transition(7, TcpState::CloseWait, TcpState::Close, 9);
            seen.ending = ending;
            tally.add(&Record::Transition(seen));
        }
        assert_eq!((tally.left, tally.still_open), (6, 0));
        assert_eq!((tally.reset_still_open, tally.residue), (2, 1));
        assert_eq!((tally.to_remainder, tally.unknown_endings), (1, 1));
        assert_eq!(tally.longest, None, "it is not in the state any more");
    }

    #[test]
    fn losses_add_up() {
        let mut tally = Tally::new(TcpState::CloseWait);
        for runs in [1, 2] {
            tally.add(&Record::Loss(Loss {
                time: UNIX_EPOCH,
                monotonic_ns: 0,
                transitions: 10,
                sockets: 0,
                runs,
            }));
        }
        assert_eq!((tally.lost, tally.untracked, tally.skipped), (20, 0, 3));
        assert_eq!(tally.transitions, 0);
    }
}

//! Durations of a recording: finished stays, and sockets that were open when it ended.

use std::time::SystemTime;

use crate::{
    diagnosis::{
        hist,
        recording::{journal::Journal, kept::ROOM, wanted::Wanted},
    },
    model::{
        caveat::Caveat,
        hist::{
            durations::{Durations, Selection},
            report::{Account, Extent, Report, Span},
        },
        recording::RecordingHeader,
        request::Filters,
        transition::Record,
    },
};

/// Counts the durations of a log.
#[derive(Debug)]
pub struct RecordedDurations {
    wanted: Wanted,
    durations: Durations,
    /// One for each requested state: the sockets in it at the end.
    journals: Vec<Journal>,
    begin: Option<SystemTime>,
}

impl RecordedDurations {
    /// Nothing yet.
    #[must_use]
    pub fn new(selection: Selection, filters: &Filters) -> Self {
        Self {
            journals: (selection.states.iter().copied())
                .map(|state| Journal::with_room(state, ROOM / selection.states.len()))
                .collect(),
            wanted: Wanted::new(filters),
            durations: Durations::new(selection),
            begin: None,
        }
    }

    /// Records that another log begins.
    pub fn header(&mut self, header: &RecordingHeader) {
        self.wanted.header(header);
        for journal in &mut self.journals {
            journal.header(header);
        }
    }

    /// Adds the next record.
    pub fn add(&mut self, record: &Record) {
        self.wanted.see(record);
        for journal in &mut self.journals {
            journal.add(record.clone());
        }
        let time = match record {
            Record::Transition(seen) => seen.time,
            Record::StillOpen(open) => open.time,
            Record::Loss(loss) => loss.time,
        };
        self.begin.get_or_insert(time);
        if let Record::Transition(seen) = record
            && self.wanted.passes(record, &[])
        {
            self.durations.transition(seen);
        }
    }

    /// Records that something at this position cannot be read.
    pub fn damaged(&mut self) {
        self.journals.iter_mut().for_each(Journal::damaged);
    }

    /// The recording has ended.
    ///
    /// # Errors
    /// When the recording does not know the requested namespace: see [`Wanted::filter`].
    pub fn finish(mut self, include_open: bool) -> Result<Report, String> {
        let filter = self.wanted.filter()?;
        let mut caveats = self.wanted.caveats();
        let mut end = None;
        let mut account = Account::default();
        for journal in self.journals {
            let recorded = journal.finish();
            let now_ns = recorded.end.map_or(0, |(ns, _)| ns);
            let wanted = |socket: &&_| filter.passes(socket);
            let open = recorded.sockets.iter().filter(wanted);
            let mut any = false;
            for socket in open {
                any = true;
                self.durations.open(socket, now_ns);
            }
            let doubtful = recorded.doubtful.iter().filter(wanted).count();
            if doubtful > 0 {
                caveats.push(Caveat::MayStillBeOpen {
                    count: doubtful as u64,
                    state: recorded.state,
                });
            }
            let [lost, untracked, runs] = recorded.facts.lost;
            (account.lost, account.untracked, account.skipped) = (lost, untracked, Some(runs));
            for caveat in recorded.facts.caveats(recorded.state, any) {
                if !caveats.contains(&caveat) {
                    caveats.push(caveat);
                }
            }
            end = end.or(recorded.end);
        }
        let length = (self.begin.zip(end)).map(|(begin, (_, time))| time.duration_since(begin));
        let length = length.and_then(Result::ok).unwrap_or_default();
        let span = Span {
            time: end.map(|(_, time)| time),
            end_ns: end.map_or(0, |(ns, _)| ns),
            length_ns: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX),
            extent: Extent::Whole,
        };
        let mut report = hist::report::report(&self.durations, span, include_open, account);
        report.caveats = caveats;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::*;
    use crate::{
        fixtures::{time, transition},
        model::{
            hist::key::Part,
            transition::{Loss, StateDuration, Transition},
        },
    };

    const SECOND: u64 = 1_000_000_000;

    fn enters(cookie: u64, at_ns: u64) -> Transition {
        transition(cookie, TcpState::Established, TcpState::CloseWait, at_ns)
    }

    fn leaves(cookie: u64, at_ns: u64, duration: StateDuration) -> Transition {
        let mut seen = transition(cookie, TcpState::CloseWait, TcpState::LastAck, at_ns);
        seen.duration = duration;
        seen
    }

    fn report(records: Vec<Record>, filters: &Filters) -> Report {
        let selection = Selection {
            states: vec![TcpState::CloseWait],
            by: vec![Part::Comm],
            max_keys: 512,
        };
        let mut recorded = RecordedDurations::new(selection, filters);
        records.iter().for_each(|record| recorded.add(record));
        recorded
            .finish(false)
            .expect("no namespace has to be known")
    }

    #[test]
    fn what_ended_is_finished_and_what_did_not_is_so_far() {
        let records = [
            enters(1, SECOND),
            enters(2, 2 * SECOND),
            leaves(1, 4 * SECOND, StateDuration::Exact(3 * SECOND)),
            leaves(9, 5 * SECOND, StateDuration::AtLeast(70)),
        ];
        let records = records.map(Record::Transition).to_vec();
        let report = report(records.clone(), &Filters::default());
        let [group] = &report.groups[..] else {
            panic!("one process: {:?}", report.groups)
        };
        assert_eq!(group.spread.closed().exact.sum_ns(), 3 * SECOND);
        assert_eq!(group.spread.closed().at_least.sum_ns(), 70);
        assert_eq!(group.spread.open.sum_ns(), 3 * SECOND);
        assert_eq!(report.length_ns, 4 * SECOND);
        let other = Filters {
            comms: vec!["nginx".into()],
            ..Filters::default()
        };
        assert_eq!(self::report(records, &other).groups, []);
    }

    #[test]
    fn what_was_lost_puts_in_doubt_who_is_still_open() {
        let loss = Record::Loss(Loss {
            time: time(3 * SECOND),
            monotonic_ns: 3 * SECOND,
            transitions: 2,
            sockets: 0,
            runs: 0,
        });
        let records = vec![
            Record::Transition(enters(1, SECOND)),
            loss,
            Record::Transition(enters(2, 4 * SECOND)),
        ];
        let report = report(records, &Filters::default());
        assert_eq!(report.groups[0].spread.open.count(), 1);
        let notes = crate::view::hist::warnings::warnings(&report).join("\n");
        assert!(
            notes.contains("1 more may still have been in CLOSE_WAIT"),
            "{notes}"
        );
        assert!(notes.contains("2 transitions were lost"), "{notes}");
    }
}

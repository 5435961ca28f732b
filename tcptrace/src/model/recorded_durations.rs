//! Durations of a recording: the ends of stays, and what was open when it ended.

use std::time::SystemTime;

use super::{
    durations::{Asked, Durations},
    filter::Filter,
    journal::Journal,
    key::Described,
    report::{Account, Extent, Report, Span},
    transition::Record,
};

/// Counts what a log tells.
#[derive(Debug)]
pub struct RecordedDurations {
    filter: Filter,
    durations: Durations,
    /// One for each state that is asked about: who is in it at the end.
    journals: Vec<Journal>,
    begin: Option<SystemTime>,
}

impl RecordedDurations {
    /// Nothing yet.
    #[must_use]
    pub fn new(asked: Asked, filter: Filter) -> Self {
        Self {
            journals: asked.states.iter().copied().map(Journal::new).collect(),
            filter,
            durations: Durations::new(asked),
            begin: None,
        }
    }

    /// Takes the next record in.
    pub fn add(&mut self, record: &Record) {
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
            && self.filter.passes_record(record, &[])
        {
            self.durations.transition(seen);
        }
    }

    /// Takes note that something in this place cannot be read.
    pub fn damaged(&mut self) {
        self.journals.iter_mut().for_each(Journal::damaged);
    }

    /// The recording has ended.
    #[must_use]
    pub fn finish(mut self, include_open: bool) -> Report {
        let mut notes: Vec<String> = Vec::new();
        let mut end = None;
        let mut account = Account::default();
        for journal in self.journals {
            let recorded = journal.finish();
            let now_ns = recorded.end.map_or(0, |(ns, _)| ns);
            let wanted = |socket: &&_| self.filter.passes(socket);
            let open = recorded.sockets.iter().filter(wanted);
            let mut any = false;
            for socket in open {
                any = true;
                let described = Described::recorded(socket);
                (self.durations).open(recorded.state, described, socket.since, now_ns);
            }
            let doubtful = recorded.doubtful.iter().filter(wanted).count();
            if doubtful > 0 {
                notes.push(format!(
                    "{doubtful} more may still have been in {} at the end: what was lost may be \
                     their leaving",
                    recorded.state.name()
                ));
            }
            let [lost, unkept, runs] = recorded.facts.lost;
            (account.lost, account.unkept, account.skipped) = (lost, unkept, Some(runs));
            for note in recorded.facts.notes(recorded.state, any) {
                if !notes.contains(&note) {
                    notes.push(note);
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
        let mut report = Report::new(&self.durations, span, include_open, account);
        report.notes = notes;
        report
    }
}

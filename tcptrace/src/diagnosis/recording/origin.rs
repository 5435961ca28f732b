//! How a recording was made, according to its headers.

use std::collections::HashMap;

use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    recording::{CgroupsFrom, RecordingHeader},
    request::LogFilters,
};

/// How many different filters are kept. Who records with more of them gets those that came first, and is told that
/// the others are not known.
const MOST_FILTERS: usize = 16;

/// What the headers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The filters of its parts, without duplicates.
    filters: Vec<LogFilters>,
    /// Whether records came before any header, or there are more filters than are kept.
    untold: bool,
    /// A bit for each state whose transitions some part leaves out.
    leaves_out: u16,
    /// Whether paths of control groups are from the root of a cgroup namespace, in any part.
    relative: bool,
    /// Names of network namespaces by inode number, from the last header.
    names: HashMap<u32, String>,
}

impl Origin {
    /// Another part begins.
    pub fn header(&mut self, header: &RecordingHeader) {
        for state in TcpState::ALL {
            let states = &header.filters.states;
            let left_out = !states.is_empty() && !states.contains(&state);
            self.leaves_out |= u16::from(left_out) << state.number();
        }
        if !self.filters.contains(&header.filters) {
            match self.filters.len() < MOST_FILTERS {
                true => self.filters.push(header.filters.clone()),
                false => self.untold = true,
            }
        }
        self.relative |= header.cgroups_from == Some(CgroupsFrom::Namespace);
        self.names.clear();
        for netns in &header.netns {
            let name = self.names.entry(netns.inode);
            name.or_insert_with(|| netns.name.clone());
        }
    }

    /// A record belongs to the part that began last.
    pub fn record(&mut self) {
        self.untold |= self.filters.is_empty();
    }

    /// Whether the filters are known for every record.
    #[must_use]
    pub fn is_told(&self) -> bool {
        !self.untold && !self.filters.is_empty()
    }

    /// Names of network namespaces by inode number.
    #[must_use]
    pub fn names(&self) -> &HashMap<u32, String> {
        &self.names
    }

    /// What is to be said about it.
    pub fn caveats(&self) -> impl Iterator<Item = Caveat> {
        let relative = self.relative.then_some(Caveat::RelativeControlGroups);
        self.caveat().into_iter().chain(relative)
    }

    /// The caveat about its filters; `None` if there were none, or if no header says so.
    fn caveat(&self) -> Option<Caveat> {
        let any = !self.filters.iter().all(LogFilters::is_empty);
        any.then(|| Caveat::RecordedWithFilters {
            filters: self.filters.clone(),
            some_unknown: self.untold,
        })
    }

    /// Whether sockets may have left the state without a record, because only transitions of other
    /// states were recorded.
    #[must_use]
    pub fn leaves_out(&self, state: TcpState) -> bool {
        self.leaves_out & (1 << state.number()) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::recording_header,
        model::{recording::NamedNetns, request::Filters},
        view::parts::caveat,
    };

    fn note(origin: &Origin) -> Option<String> {
        origin.caveat().as_ref().map(caveat::text)
    }

    fn with(filters: LogFilters) -> RecordingHeader {
        RecordingHeader {
            filters,
            ..recording_header()
        }
    }

    fn of_states(states: &[TcpState]) -> LogFilters {
        LogFilters {
            states: states.to_vec(),
            ..LogFilters::default()
        }
    }

    #[test]
    fn the_filters_are_told_once_and_certainly() {
        let mut origin = Origin::default();
        assert!(!origin.is_told() && origin.caveat().is_none());
        origin.header(&with(LogFilters::default()));
        origin.record();
        assert!(origin.is_told() && origin.caveat().is_none());
        let java = LogFilters {
            sockets: Filters {
                comms: vec!["java".into()],
                ..Filters::default()
            },
            ..of_states(&[TcpState::LastAck])
        };
        for _ in 0..2 {
            origin.header(&with(java.clone()));
        }
        assert_eq!(
            note(&origin).as_deref(),
            Some(
                "parts of it were recorded without filters and with --comm java --state LAST_ACK: \
                 it does not contain what these filters leave out"
            )
        );
        assert!(origin.leaves_out(TcpState::CloseWait) && !origin.leaves_out(TcpState::LastAck));
        let mut only = Origin::default();
        only.header(&with(java));
        let note = note(&only).expect("it has filters");
        assert!(
            note.starts_with("it was recorded with --comm java"),
            "{note}"
        );
    }

    #[test]
    fn an_older_part_without_header_tells_nothing() {
        let mut origin = Origin::default();
        origin.record();
        origin.header(&with(of_states(&[TcpState::CloseWait])));
        assert!(!origin.is_told());
        let note = note(&origin).expect("one part has filters");
        assert!(note.starts_with("parts of it were recorded"), "{note}");
    }

    #[test]
    fn paths_that_are_not_from_the_machines_root_are_told() {
        let mut origin = Origin::default();
        origin.header(&recording_header());
        assert_eq!(origin.caveats().count(), 0);
        origin.header(&RecordingHeader {
            cgroups_from: Some(CgroupsFrom::Namespace),
            ..recording_header()
        });
        origin.header(&recording_header());
        let caveats: Vec<_> = origin.caveats().collect();
        assert_eq!(caveats, [Caveat::RelativeControlGroups]);
    }

    #[test]
    fn names_are_those_of_the_last_part() {
        let mut origin = Origin::default();
        origin.header(&recording_header());
        assert_eq!(origin.names().len(), 1);
        let named = |inode, name: &str| NamedNetns {
            inode,
            name: name.into(),
        };
        origin.header(&RecordingHeader {
            netns: vec![named(7, "green"), named(7, "lawn")],
            ..recording_header()
        });
        assert_eq!(origin.names(), &HashMap::from([(7, "green".into())]));
    }
}

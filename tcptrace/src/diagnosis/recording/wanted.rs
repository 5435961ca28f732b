//! Which records of a recording are wanted. The header before the records says which network
//! namespace a name stands for; names on the machine that replays do not matter.

use std::collections::BTreeSet;

use tcptrace_common::TcpState;

use crate::model::{
    caveat::Caveat,
    filter::{Filter, absent::Whole, unmatched::Unmatched},
    recording::RecordingHeader,
    request::{Filters, Netns},
    transition::Record,
};

/// How many names of namespaces are kept for an error, which shows the first of them.
const MOST_NAMES: usize = 1000;
const SHOWN_NAMES: usize = 20;

/// The filters, as far as the headers so far resolve their names.
#[derive(Debug)]
pub struct Wanted {
    filter: Filter,
    /// The namespace's name, where it is given by name.
    name: Option<String>,
    /// Whether the current part has this name, and whether any part had it.
    is_known: bool,
    was_known: bool,
    headers: u64,
    /// All names of namespaces so far.
    names: BTreeSet<String>,
    /// Records in parts that do not have the name.
    left_out: u64,
    /// Values that no record has had so far.
    unmatched: Unmatched,
}

impl Wanted {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(filters: &Filters) -> Self {
        let (inode, name) = match &filters.netns {
            None => (None, None),
            Some(Netns::Inode(inode)) => (Some(*inode), None),
            Some(Netns::Name(name)) => (None, Some(name.clone())),
        };
        let filter = filters.resolved(inode);
        Self {
            unmatched: Unmatched::new(&filter),
            filter,
            is_known: name.is_none(),
            was_known: name.is_none(),
            name,
            headers: 0,
            names: BTreeSet::new(),
            left_out: 0,
        }
    }

    /// Another part begins.
    pub fn header(&mut self, header: &RecordingHeader) {
        let Some(name) = &self.name else {
            return;
        };
        self.headers += 1;
        let names = header.netns.iter().map(|netns| netns.name.clone());
        for name in names {
            if self.names.len() < MOST_NAMES {
                self.names.insert(name);
            }
        }
        let inode = header.inode_of(name);
        self.is_known = inode.is_some();
        self.was_known |= self.is_known;
        self.filter.netns = inode.or(self.filter.netns);
    }

    /// Takes note of what a record says, whether it is wanted or not.
    pub fn see(&mut self, record: &Record) {
        self.unmatched.see_record(record);
    }

    /// Whether a record of the current part is wanted: see [`Filter::passes_record`].
    pub fn passes(&mut self, record: &Record, states: &[TcpState]) -> bool {
        if !self.is_known {
            self.left_out += 1;
        }
        self.is_known && self.filter.passes_record(record, states)
    }

    /// The filter for what is left at the end.
    ///
    /// # Errors
    /// Says that no header knows the namespace: not yet fit for a terminal.
    pub fn filter(&self) -> Result<&Filter, String> {
        if self.was_known {
            return Ok(&self.filter);
        }
        let mut names: Vec<_> = self.names.iter().map(String::as_str).collect();
        if names.len() > SHOWN_NAMES {
            names.truncate(SHOWN_NAMES);
            names.push("and more");
        }
        let why = match (self.headers, names.len()) {
            (0, _) => {
                "the recording has no header that says which network namespace has this name \
                 (recordings of older versions have none)"
                    .to_owned()
            }
            (_, 0) => "no network namespace had a name during the recording".to_owned(),
            _ => format!(
                "no network namespace had this name during the recording; known names: {}",
                names.join(", ")
            ),
        };
        Err(format!(
            "{why}; give its inode number, as in the field `netns` of the recording's lines"
        ))
    }

    /// What was left out because its part does not have the name, and values of the filter that no record
    /// has.
    #[must_use]
    pub fn caveats(&self) -> Vec<Caveat> {
        let name = self.name.as_ref().filter(|_| self.left_out > 0);
        let unnamed = name.map(|name| Caveat::UnnamedNamespace {
            count: self.left_out,
            name: name.clone(),
        });
        let absent = self.unmatched.absent(Whole::Recording);
        let absent = absent.into_iter().map(Caveat::Absent);
        unnamed.into_iter().chain(absent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{NETNS, recording_header, transition},
        model::recording::NamedNetns,
        view::parts::caveat,
    };

    fn by_name(name: &str) -> Wanted {
        Wanted::new(&Filters {
            netns: Some(Netns::Name(name.into())),
            ..Filters::default()
        })
    }

    fn with(names: &[(u32, &str)]) -> RecordingHeader {
        let named = |(inode, name): &(u32, &str)| NamedNetns {
            inode: *inode,
            name: (*name).into(),
        };
        RecordingHeader {
            netns: names.iter().map(named).collect(),
            ..recording_header()
        }
    }

    fn record() -> Record {
        Record::Transition(transition(1, TcpState::Established, TcpState::CloseWait, 5))
    }

    #[test]
    fn a_name_means_what_the_header_before_says() {
        let mut wanted = by_name("blue");
        assert!(!wanted.passes(&record(), &[]), "nothing tells yet");
        wanted.header(&with(&[(7, "green"), (NETNS, "blue")]));
        assert!(wanted.passes(&record(), &[]));
        wanted.header(&with(&[(7, "blue")]));
        assert!(!wanted.passes(&record(), &[]));
        wanted.header(&with(&[(NETNS, "green")]));
        assert!(!wanted.passes(&record(), &[]), "this part has no such name");
        assert_eq!(wanted.filter().map(|filter| filter.netns), Ok(Some(7)));
        let note = wanted.caveats().first().map(caveat::text);
        let note = note.expect("two were left out");
        assert!(note.starts_with("2 records are left out"), "{note}");
    }

    #[test]
    fn a_name_that_nothing_knows_is_an_error_with_those_that_are_known() {
        let mut wanted = by_name("blue");
        let error = wanted.filter().expect_err("nothing is known");
        assert!(error.contains("has no header"), "{error}");
        wanted.header(&with(&[]));
        let error = wanted.filter().expect_err("nothing has a name");
        assert!(error.contains("no network namespace had a name"), "{error}");
        wanted.header(&with(&[(7, "green"), (9, "amber")]));
        let error = wanted.filter().expect_err("others have a name");
        assert!(error.contains("known names: amber, green;"), "{error}");
    }

    #[test]
    fn values_that_no_record_has_are_said() {
        let filters = Filters {
            pids: vec![4242, 7],
            comms: vec!["java".into()],
            netns: Some(Netns::Inode(9)),
            cgroup: Some("/system.slice".into()),
            ..Filters::default()
        };
        let mut wanted = Wanted::new(&filters);
        let texts = |wanted: &Wanted| caveat::texts(&wanted.caveats());
        assert_eq!(texts(&wanted).len(), 4);
        wanted.see(&record());
        assert_eq!(
            texts(&wanted),
            [
                "there is no process 7 in the recording",
                "there is no network namespace 9 in the recording"
            ]
        );
    }

    #[test]
    fn numbers_need_no_header() {
        let mut wanted = Wanted::new(&Filters {
            netns: Some(Netns::Inode(NETNS)),
            ..Filters::default()
        });
        wanted.header(&with(&[(7, "blue")]));
        assert!(wanted.passes(&record(), &[]));
        wanted.see(&record());
        assert_eq!((wanted.filter().is_ok(), wanted.caveats()), (true, vec![]));
    }
}

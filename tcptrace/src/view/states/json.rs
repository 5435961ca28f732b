//! JSON Lines, as the section "Numbers by state" of `docs/json.md` describes them.

use std::net::IpAddr;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    model::states::{
        counts::{Counts, STATES},
        member::NoSocket,
        report::{By, Group, Key, Report},
    },
    view::{
        Page, View,
        parts::{
            candidates::{CandidateRecord, records},
            caveat::{self, CaveatRecord},
            escaping,
        },
    },
};

/// One line per look.
pub struct Json {
    top: usize,
}

impl Json {
    /// With at most this many groups.
    #[must_use]
    pub fn new(top: Option<usize>) -> Self {
        Self {
            top: top.unwrap_or(usize::MAX),
        }
    }
}

impl View<Report> for Json {
    fn show(&mut self, report: &Report, _: &Page, out: &mut Vec<u8>) {
        escaping::line(out, &ReportRecord::new(report, self.top));
    }

    fn is_for_programs(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
struct ReportRecord<'a> {
    schema: &'static str,
    time: String,
    monotonic_ns: u64,
    by: Vec<&'static str>,
    sockets: u64,
    states: Vec<StateRecord>,
    not_sockets: Vec<NoSocketRecord>,
    residue: u64,
    groups: Vec<GroupRecord<'a>>,
    hidden: usize,
    caveats: Vec<CaveatRecord>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct StateRecord {
    state: &'static str,
    count: u64,
    change: Option<i64>,
}

#[derive(Serialize)]
struct NoSocketRecord {
    kind: &'static str,
    count: u64,
    change: Option<i64>,
}

#[derive(Serialize)]
struct GroupRecord<'a> {
    key: KeyRecord<'a>,
    candidates: Vec<CandidateRecord<'a>>,
    sockets: u64,
    states: Vec<StateRecord>,
    not_sockets: Vec<NoSocketRecord>,
    residue: u64,
}

impl<'a> ReportRecord<'a> {
    fn new(report: &'a Report, top: usize) -> Self {
        let before = report.before.as_ref();
        let shown = report.groups.iter().take(top);
        let by = &report.by;
        Self {
            schema: "tcptrace.states/1",
            time: humantime::format_rfc3339_nanos(report.time).to_string(),
            monotonic_ns: report.monotonic_ns,
            by: by.iter().map(|part| part.name()).collect(),
            sockets: report.all.sockets(),
            states: states(&report.all, before, false),
            not_sockets: not_sockets(&report.all, before, false),
            residue: report.all.residue,
            groups: shown.map(|group| GroupRecord::new(group, by)).collect(),
            hidden: report.groups.len().saturating_sub(top),
            caveats: caveat::records(&report.caveats),
            notes: caveat::texts(&report.caveats),
        }
    }
}

impl<'a> GroupRecord<'a> {
    fn new(group: &'a Group, by: &'a [By]) -> Self {
        let before = group.before.as_ref();
        Self {
            key: KeyRecord {
                key: &group.key,
                by,
            },
            candidates: records(&group.key.candidates),
            sockets: group.counts.sockets(),
            states: states(&group.counts, before, true),
            not_sockets: not_sockets(&group.counts, before, true),
            residue: group.counts.residue,
        }
    }
}

fn change(now: u64, before: Option<u64>) -> Option<i64> {
    Some(now.cast_signed().wrapping_sub(before?.cast_signed()))
}

/// The numbers by state; `only_some`: without those that are and were 0.
fn states(counts: &Counts, before: Option<&Counts>, only_some: bool) -> Vec<StateRecord> {
    let all = STATES.into_iter().map(|state| {
        let was = before.map(|before| before.of(state));
        let count = counts.of(state);
        let record = StateRecord {
            state: state.name(),
            count,
            change: change(count, was),
        };
        (record, count + was.unwrap_or(0))
    });
    let some = all.filter(|(_, sum)| !only_some || *sum > 0);
    some.map(|(record, _)| record).collect()
}

fn not_sockets(counts: &Counts, before: Option<&Counts>, only_some: bool) -> Vec<NoSocketRecord> {
    let all = NoSocket::ALL.iter().map(|kind| {
        let was = before.map(|before| before.no_socket(*kind));
        let count = counts.no_socket(*kind);
        let record = NoSocketRecord {
            kind: kind.name(),
            count,
            change: change(count, was),
        };
        (record, count + was.unwrap_or(0))
    });
    let some = all.filter(|(_, sum)| !only_some || *sum > 0);
    some.map(|(record, _)| record).collect()
}

/// What was asked for; what is not known is `null`.
struct KeyRecord<'a> {
    key: &'a Key,
    by: &'a [By],
}

impl Serialize for KeyRecord<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let key = self.key;
        let text = |address: Option<IpAddr>| address.map(|address| address.to_string());
        let mut map = out.serialize_map(None)?;
        if self.by.is_empty() {
            map.serialize_entry("pid", &key.pid)?;
            map.serialize_entry("comm", &key.comm.as_deref())?;
            map.serialize_entry("role", key.role().name())?;
            map.serialize_entry("remote", &text(key.remote))?;
            map.serialize_entry("port", &key.port)?;
            return map.end();
        }
        for part in self.by {
            match part {
                By::Comm => map.serialize_entry("comm", &key.comm.as_deref())?,
                By::Pid => {
                    if !self.by.contains(&By::Comm) {
                        map.serialize_entry("comm", &key.comm.as_deref())?;
                    }
                    map.serialize_entry("pid", &key.pid)?;
                }
                By::Remote => map.serialize_entry("remote", &text(key.remote))?,
                By::Port => map.serialize_entry("port", &key.port)?,
                By::Cgroup => map.serialize_entry("cgroup", &key.cgroup.as_deref())?,
                By::Container => map.serialize_entry("container", &key.container)?,
                By::Netns => map.serialize_entry("netns", &key.netns)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::states::fixture;

    #[test]
    fn a_look_is_one_line_of_the_schema() {
        let mut out = Vec::new();
        Json::new(Some(2)).show(&fixture(), &Page::UNLIMITED, &mut out);
        let line = String::from_utf8(out).expect("JSON is UTF-8");
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).expect("it was JSON"));
    }

    #[test]
    fn a_key_has_what_was_asked_for() {
        let report = fixture();
        let json = |by: &[By]| {
            let key = KeyRecord {
                key: &report.groups[1].key,
                by,
            };
            serde_json::to_string(&key).expect("it can be written")
        };
        assert_eq!(json(&[By::Pid]), r#"{"comm":"python3","pid":4300}"#);
        assert_eq!(
            json(&[By::Comm, By::Pid]),
            r#"{"comm":"python3","pid":4300}"#
        );
        assert_eq!(
            json(&[By::Remote, By::Cgroup]),
            r#"{"remote":"::1","cgroup":null}"#
        );
    }
}

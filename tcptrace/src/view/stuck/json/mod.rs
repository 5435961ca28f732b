//! JSON Lines, as `docs/json.md` describes them.

mod diagnosis;
mod ends;
mod group;
mod socket;

use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};

use crate::{
    model::stuck::{
        look::{Hook, Looked, Tracing},
        residue::Residue,
        snapshot::Snapshot,
    },
    view::{
        Page, View,
        parts::{
            caveat::{self, CaveatRecord},
            escaping,
        },
        stuck::{
            json::{
                ends::{EndpointRecord, endpoint},
                group::{GroupRecord, group_record},
                socket::{HolderObject, holders, socket_record},
            },
            notes::notes,
        },
    },
};

/// Bytes written at once: as many as a pipe holds.
const AT_ONCE: usize = 64 * 1024;

/// One line per snapshot.
pub struct Json {
    limit: usize,
    arguments: bool,
}

impl Json {
    /// With at most this many sockets per snapshot; with `arguments` also those of the processes.
    #[must_use]
    pub fn new(limit: Option<usize>, arguments: bool) -> Self {
        Self {
            limit: limit.unwrap_or(usize::MAX),
            arguments,
        }
    }
}

impl View<Snapshot> for Json {
    fn show(&mut self, snapshot: &Snapshot, _: &Page, out: &mut Vec<u8>) {
        escaping::line(
            out,
            &SnapshotRecord::new(snapshot, self.limit, self.arguments),
        );
    }

    /// Piece by piece: the line of 43 000 sockets has 25 MB.
    fn write(&mut self, snapshot: &Snapshot, _: &Page, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(AT_ONCE, out);
        escaping::write_line(
            &mut out,
            &SnapshotRecord::new(snapshot, self.limit, self.arguments),
        )?;
        out.flush()
    }

    fn is_for_programs(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
struct SnapshotRecord<'a> {
    schema: &'static str,
    time: Option<String>,
    monotonic_ns: Option<u64>,
    watched: WatchedRecord,
    looked: Option<Looked>,
    stuck: usize,
    may_be: usize,
    younger: usize,
    sockets: Sockets<'a>,
    groups: Vec<GroupRecord<'a>>,
    residue: Option<Vec<ResidueRecord<'a>>>,
    failed_connects: Option<Vec<ResidueRecord<'a>>>,
    tracing: TracingRecord,
    caveats: Vec<CaveatRecord>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct WatchedRecord {
    state: &'static str,
    older_than_ns: u64,
}

/// The first sockets of a snapshot, each made into a record when it is written.
struct Sockets<'a> {
    snapshot: &'a Snapshot,
    limit: usize,
}

impl Serialize for Sockets<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let shown = self.snapshot.sockets.iter().take(self.limit);
        out.collect_seq(shown.map(|socket| socket_record(socket, self.snapshot)))
    }
}

#[derive(Serialize)]
struct ResidueRecord<'a> {
    holders: Vec<HolderObject<'a>>,
    family: &'static str,
    local: EndpointRecord,
    remote: EndpointRecord,
    netns: u32,
    inode: u32,
    died_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    died_by: Option<&'static str>,
    was_close_wait: Option<bool>,
}

#[derive(Serialize)]
struct TracingRecord {
    hook: Option<&'static str>,
    transitions: u64,
    lost: u64,
    recursion_misses: Option<u64>,
}

impl<'a> SnapshotRecord<'a> {
    fn new(snapshot: &'a Snapshot, limit: usize, arguments: bool) -> Self {
        let groups = snapshot.groups.iter();
        Self {
            schema: "tcptrace.stuck/1",
            time: (snapshot.time).map(|time| humantime::format_rfc3339_nanos(time).to_string()),
            monotonic_ns: snapshot.time.map(|_| snapshot.monotonic_ns),
            watched: WatchedRecord {
                state: snapshot.watched.state.name(),
                older_than_ns: snapshot.watched.older_than_ns,
            },
            looked: snapshot.looked,
            stuck: snapshot.stuck(),
            may_be: snapshot.may_be(),
            younger: snapshot.younger.count,
            sockets: Sockets { snapshot, limit },
            groups: groups
                .map(|group| group_record(group, snapshot, arguments))
                .collect(),
            residue: residue_records(snapshot.residue.as_deref()),
            failed_connects: residue_records(snapshot.failed_connects.as_deref()),
            tracing: tracing_record(&snapshot.tracing),
            caveats: caveat::records(&snapshot.caveats),
            notes: (caveat::texts(&snapshot.caveats).into_iter())
                .chain(notes(snapshot))
                .collect(),
        }
    }
}

fn residue_records(residue: Option<&[Residue]>) -> Option<Vec<ResidueRecord<'_>>> {
    residue.map(|all| all.iter().map(residue_record).collect())
}

fn residue_record(residue: &Residue) -> ResidueRecord<'_> {
    ResidueRecord {
        holders: holders(&residue.holders),
        family: residue.family.name(),
        local: endpoint(residue.local),
        remote: endpoint(residue.remote),
        netns: residue.netns,
        inode: residue.inode,
        died_ns: residue.died_ns,
        died_by: (!residue.never_connected).then(|| residue.died_by.name()),
        was_close_wait: residue.was_close_wait,
    }
}

fn tracing_record(tracing: &Tracing) -> TracingRecord {
    TracingRecord {
        hook: tracing.hook.map(Hook::name),
        // What a recording lost are transitions of all states.
        transitions: tracing.entered + tracing.left + tracing.hook.map_or(0, |_| tracing.lost),
        lost: tracing.lost,
        recursion_misses: tracing.recursion_misses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, model::stuck::look::Look, view::stuck::fixtures::diagnose};

    fn line(snapshot: &Snapshot) -> String {
        let mut out = Vec::new();
        Json::new(None, false).show(snapshot, &Page::UNLIMITED, &mut out);
        let line = String::from_utf8(out).expect("JSON is UTF-8");
        line.strip_suffix('\n').expect("it has an end").to_owned()
    }

    fn json(look: Look) -> String {
        line(&fixtures::snapshot(look))
    }

    #[test]
    fn a_snapshot_is_one_line_of_the_schema() {
        let line = json(fixtures::busy_look());
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        let pretty = serde_json::to_string_pretty(&value).expect("it was JSON");
        insta::assert_snapshot!(pretty);
    }

    #[test]
    fn a_group_says_why_it_is_stuck() {
        let mut snapshot = fixtures::snapshot(fixtures::busy_look());
        diagnose(&mut snapshot);
        let value: serde_json::Value = serde_json::from_str(&line(&snapshot)).expect("it is JSON");
        let shown = |group: &serde_json::Value| {
            let (descriptors, diagnosis) = (&group["descriptors"], &group["diagnosis"]);
            serde_json::json!({"descriptors": descriptors, "diagnosis": diagnosis})
        };
        let groups = value["groups"].as_array().expect("a list");
        let groups: Vec<_> = groups.iter().map(shown).collect();
        let pretty = serde_json::to_string_pretty(&groups).expect("it was JSON");
        insta::assert_snapshot!(pretty);
    }

    #[test]
    fn a_recording_tells_openers_and_no_details() {
        let line = line(&fixtures::recorded());
        let value: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        let pretty = serde_json::to_string_pretty(&value).expect("it was JSON");
        insta::assert_snapshot!(pretty);
    }

    #[test]
    fn control_characters_are_escaped_and_survive() {
        let mut look = fixtures::busy_look();
        let comm = "a\x1b\x7f\u{9b}\"b";
        fixtures::call_holders(&mut look, comm);
        let line = json(look);
        assert!(!line.contains(char::is_control), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(value["sockets"][0]["holders"][0]["comm"], comm);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut look = fixtures::busy_look();
        look.held = None;
        look.tracing.recursion_misses = None;
        let value: serde_json::Value = serde_json::from_str(&json(look)).expect("it is JSON");
        assert!(value["sockets"][0]["holders"].is_null());
        assert!(value["tracing"]["recursion_misses"].is_null());
    }
}

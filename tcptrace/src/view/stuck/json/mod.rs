//! JSON Lines, as `docs/json.md` describes them.

mod ends;
mod group;

use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};

use crate::{
    model::{
        container,
        names::UNKNOWN,
        owner::{Holder, Listener, Owner},
        socket::{Protocol, Socket, Stuck},
        stuck::{
            look::{Hook, Looked, Tracing},
            residue::Residue,
            snapshot::Snapshot,
        },
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
struct SocketRecord<'a> {
    state: &'static str,
    stuck: Option<&'static str>,
    age_ns: u64,
    age: &'static str,
    age_at_most_ns: Option<u64>,
    role: &'static str,
    accepted: Option<bool>,
    protocol: &'static str,
    /// Only of MPTCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    subflows: Option<Option<u8>>,
    remainder: bool,
    family: &'static str,
    local: EndpointRecord,
    remote: EndpointRecord,
    netns: Option<u32>,
    netns_name: Option<&'a str>,
    cookie: Option<u64>,
    inode: Option<u32>,
    uid: Option<u32>,
    recv_queue: Option<u32>,
    send_queue: Option<u32>,
    bytes_received: Option<u64>,
    bytes_acked: Option<u64>,
    last_data_received_ns: Option<u64>,
    last_touched_ns: Option<u64>,
    keepalive: Option<bool>,
    timer: Option<&'static str>,
    cgroup: Option<&'a str>,
    unit: Option<&'a str>,
    container: Option<String>,
    holders: Option<Vec<HolderObject<'a>>>,
    held: &'static str,
    opener: Option<OpenerRecord<'a>>,
    listener: Option<ListenerRecord<'a>>,
}

#[derive(Serialize)]
struct HolderObject<'a> {
    pid: u32,
    comm: &'a str,
    tid: Option<u32>,
    fd: Option<u32>,
    via: &'static str,
}

#[derive(Serialize)]
struct OpenerRecord<'a> {
    pid: u32,
    comm: &'a str,
    known_by: &'static str,
}

#[derive(Serialize)]
struct ListenerRecord<'a> {
    pid: Option<u32>,
    comm: Option<&'a str>,
    holders: Option<Vec<HolderObject<'a>>>,
    queued: Option<u32>,
    backlog: Option<u32>,
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
            stuck: snapshot.stuck,
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

fn socket_record<'a>(socket: &'a Socket, snapshot: &'a Snapshot) -> SocketRecord<'a> {
    let (now_ns, older_than_ns) = (snapshot.monotonic_ns, snapshot.watched.older_than_ns);
    let details = socket.details.as_ref();
    let name = |netns| snapshot.netns_names.get(&netns).map(String::as_str);
    SocketRecord {
        state: socket.state.name(),
        stuck: socket.stuck(now_ns, older_than_ns).map(Stuck::name),
        age_ns: socket.age_ns(now_ns),
        age: socket.since.precision().name(),
        age_at_most_ns: socket.age_at_most_ns(now_ns),
        role: socket.identity.role.name(),
        accepted: socket.accepted(),
        protocol: socket.identity.protocol.name(),
        subflows: (socket.identity.protocol == Protocol::Mptcp)
            .then(|| details.and_then(|details| details.subflows)),
        remainder: details.is_some_and(|details| details.remainder),
        family: socket.identity.family.name(),
        local: endpoint(socket.identity.local),
        remote: endpoint(socket.identity.remote),
        netns: socket.identity.netns,
        netns_name: socket.identity.netns.and_then(name),
        cookie: socket.identity.cookie,
        inode: details.map(|details| details.inode),
        uid: details.map(|details| details.uid),
        recv_queue: details.and_then(|details| details.recv_queue),
        send_queue: details.and_then(|details| details.send_queue),
        bytes_received: details.and_then(|details| details.bytes_received),
        bytes_acked: details.and_then(|details| details.bytes_acked),
        last_data_received_ns: details.and_then(|details| details.last_data_ns),
        last_touched_ns: details.and_then(|details| details.touched_ns),
        keepalive: details.and_then(|details| details.keepalive),
        timer: details.and_then(|details| Some(details.timer?.name())),
        cgroup: socket.cgroup.as_deref(),
        unit: socket.cgroup.as_deref().and_then(container::unit),
        container: socket.cgroup.as_deref().and_then(container::container),
        holders: socket.holders.as_deref().map(holders),
        held: held(socket),
        opener: socket.opener.as_ref().map(opener),
        listener: socket.listener.as_ref().map(listener),
    }
}

fn holders(holders: &[Holder]) -> Vec<HolderObject<'_>> {
    holders
        .iter()
        .map(|holder| HolderObject {
            pid: holder.pid,
            comm: &holder.comm,
            tid: holder.tid,
            fd: holder.fd,
            via: holder.via.name(),
        })
        .collect()
}

/// How the first holder holds it, or why there is none.
fn held(socket: &Socket) -> &'static str {
    let first = socket.holders.as_deref().map(<[Holder]>::first);
    match (first, socket.details.as_ref()) {
        (Some(Some(first)), _) => first.via.name(),
        // Nobody has accepted it, or its process has closed it.
        (Some(None), Some(details)) if details.inode == 0 => "none",
        _ => UNKNOWN,
    }
}

fn opener(opener: &Owner) -> OpenerRecord<'_> {
    OpenerRecord {
        pid: opener.process.pid,
        comm: &opener.process.comm,
        known_by: opener.known_by.name(),
    }
}

fn listener(listener: &Listener) -> ListenerRecord<'_> {
    let owner = listener.process();
    ListenerRecord {
        pid: owner.map(|(pid, _)| pid),
        comm: owner.map(|(_, comm)| comm),
        holders: listener.holders.as_deref().map(holders),
        queued: listener.queued,
        backlog: listener.backlog,
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
    use crate::{fixtures, model::stuck::look::Look};

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

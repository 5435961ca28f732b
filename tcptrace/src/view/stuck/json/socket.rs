//! The sockets of a snapshot in JSON.

use serde::Serialize;

use crate::{
    model::{
        container,
        names::UNKNOWN,
        owner::{Holder, Listener, Owner},
        socket::{AtEntry, Protocol, Socket, Stuck},
        stuck::snapshot::Snapshot,
    },
    view::stuck::json::ends::{EndpointRecord, endpoint},
};

/// A socket.
#[derive(Serialize)]
pub struct SocketRecord<'a> {
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
    last_data_sent_ns: Option<u64>,
    last_touched_ns: Option<u64>,
    data_segments_in: Option<u32>,
    data_segments_out: Option<u32>,
    at_entry: Option<AtEntryRecord>,
    keepalive: Option<bool>,
    keepalive_due_ns: Option<u64>,
    timer: Option<&'static str>,
    backoff: Option<u8>,
    cgroup: Option<&'a str>,
    unit: Option<&'a str>,
    container: Option<String>,
    holders: Option<Vec<HolderObject<'a>>>,
    held: &'static str,
    opener: Option<OpenerRecord<'a>>,
    user: Option<UserRecord<'a>>,
    listener: Option<ListenerRecord<'a>>,
}

/// Who has it open.
#[derive(Serialize)]
pub struct HolderObject<'a> {
    pid: u32,
    comm: &'a str,
    tid: Option<u32>,
    fd: Option<u32>,
    via: &'static str,
}

#[derive(Serialize)]
struct OpenerRecord<'a> {
    pid: Option<u32>,
    comm: &'a str,
    known_by: &'static str,
}

#[derive(Serialize)]
struct UserRecord<'a> {
    pid: Option<u32>,
    comm: &'a str,
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
struct AtEntryRecord {
    since_data_ns: u64,
    since_sent_ns: u64,
    bytes_received: u64,
    bytes_acked: u64,
    unread: u32,
}

/// The record of a socket.
pub fn socket_record<'a>(socket: &'a Socket, snapshot: &'a Snapshot) -> SocketRecord<'a> {
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
        last_data_sent_ns: details.and_then(|details| details.last_sent_ns),
        last_touched_ns: details.and_then(|details| details.touched_ns),
        data_segments_in: details.and_then(|details| details.data_segments_in),
        data_segments_out: details.and_then(|details| details.data_segments_out),
        at_entry: socket.at_entry.as_deref().map(at_entry),
        keepalive: details.and_then(|details| details.keepalive),
        keepalive_due_ns: (details.and_then(|details| details.keepalive_due_ns))
            .map(|due_ns| due_ns.saturating_sub(now_ns)),
        timer: details.and_then(|details| Some(details.timer?.name())),
        backoff: details.and_then(|details| details.backoff),
        cgroup: socket.cgroup.as_deref(),
        unit: (socket.cgroup.as_ref().or(socket.process_cgroup()))
            .and_then(|path| container::unit(path)),
        container: (socket.cgroup.as_ref().or(socket.process_cgroup()))
            .and_then(|path| container::container(path)),
        holders: socket.holders.as_deref().map(holders),
        held: held(socket),
        opener: socket.opener.as_ref().map(opener),
        user: socket.user.as_ref().map(|user| UserRecord {
            pid: user.process.pid,
            comm: &user.process.comm,
        }),
        listener: socket.listener.as_ref().map(listener),
    }
}

/// The records of holders.
pub fn holders(holders: &[Holder]) -> Vec<HolderObject<'_>> {
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
        _ if socket.held_outside => "outside",
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

fn at_entry(known: &AtEntry) -> AtEntryRecord {
    let AtEntry {
        since_data_ns,
        since_sent_ns,
        bytes_received,
        bytes_acked,
        unread,
    } = *known;
    AtEntryRecord {
        since_data_ns,
        since_sent_ns,
        bytes_received,
        bytes_acked,
        unread,
    }
}

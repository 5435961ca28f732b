//! The table of sockets.

use std::collections::HashSet;

use crate::{
    model::{
        socket::{Protocol, Role, Socket},
        stuck::snapshot::Snapshot,
    },
    view::{
        parts::{
            address::endpoint,
            age::age,
            clean::clean,
            table::{self, Column, left, right},
        },
        stuck::held_by::held_by,
    },
};

const COLUMNS: [Column; 10] = [
    right("AGE"),
    right("RECV-Q"),
    right("SEND-Q"),
    left("LOCAL"),
    left("REMOTE"),
    left("ROLE"),
    left("HELD BY"),
    left("KEEPALIVE"),
    left("PROTOCOL"),
    left("NETNS"),
];

/// The heading, and a line for each socket, up to the limit.
pub fn lines(snapshot: &Snapshot, rows: usize) -> Vec<String> {
    let namespaces: HashSet<_> = snapshot
        .sockets
        .iter()
        .map(|socket| socket.identity.netns)
        .collect();
    let rows: Vec<_> = snapshot
        .sockets
        .iter()
        .take(rows)
        .map(|socket| row(socket, snapshot, namespaces.len() > 1))
        .collect();
    table::lines(&COLUMNS, &rows)
}

fn row(socket: &Socket, snapshot: &Snapshot, with_netns: bool) -> Vec<String> {
    let details = socket.details.as_ref();
    let queue = |bytes: Option<u32>| bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string());
    let name = |netns: u32| match snapshot.netns_names.get(&netns) {
        Some(name) => clean(name),
        None => netns.to_string(),
    };
    let netns = match socket.identity.netns {
        Some(netns) if with_netns || snapshot.netns_names.contains_key(&netns) => name(netns),
        None if with_netns => "?".into(),
        _ => String::new(),
    };
    vec![
        age(
            socket.age_ns(snapshot.monotonic_ns),
            socket.since.is_exact(),
        ),
        queue(details.and_then(|details| details.recv_queue)),
        queue(details.and_then(|details| details.send_queue)),
        endpoint(socket.identity.local),
        endpoint(socket.identity.remote),
        match socket.identity.role {
            Role::Unknown => "?",
            known => known.name(),
        }
        .into(),
        held_by(socket),
        match details.and_then(|details| details.keepalive) {
            Some(true) => "on",
            Some(false) => "off",
            None => "?",
        }
        .into(),
        protocol(socket),
        netns,
    ]
}

/// MPTCP and the number of subflows; nothing for TCP.
fn protocol(socket: &Socket) -> String {
    if socket.identity.protocol == Protocol::Tcp {
        return String::new();
    }
    let subflows = (socket.details.as_ref()).and_then(|details| details.subflows);
    match subflows {
        Some(1) => "MPTCP, 1 subflow".into(),
        Some(count) => format!("MPTCP, {count} subflows"),
        None => "MPTCP".into(),
    }
}

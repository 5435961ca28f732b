//! The table of sockets.

use std::collections::HashSet;

use crate::{
    model::{
        socket::{Role, Socket},
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

const COLUMNS: [Column; 9] = [
    right("AGE"),
    right("RECV-Q"),
    right("SEND-Q"),
    left("LOCAL"),
    left("REMOTE"),
    left("ROLE"),
    left("HELD BY"),
    left("KEEPALIVE"),
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
        queue(details.map(|details| details.recv_queue)),
        queue(details.map(|details| details.send_queue)),
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
        netns,
    ]
}

//! The table of sockets.

use std::collections::HashSet;

use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::{
        socket::{Details, Protocol, Role, Socket},
        stuck::snapshot::Snapshot,
    },
    view::{
        Page,
        layout::table::{self, Column, before_pid, before_port, left, right},
        parts::{address::endpoint, age::age_between, clean::clean},
        stuck::held_by::{NAMED_HOLDERS, held_by},
    },
};

const COLUMNS: [Column; 10] = [
    right("AGE"),
    right("RECV-Q").rank(4),
    right("SEND-Q").extra(5),
    left("LOCAL").rank(1).name(before_port),
    left("REMOTE").rank(2).name(before_port),
    left("ROLE").extra(7),
    left("HELD BY").rank(3).name(before_pid),
    left("KEEPALIVE").extra(6),
    left("PROTOCOL").extra(8),
    left("NETNS").extra(9),
];

/// What is the same for all sockets, and the heading with a line for each socket, up to the limit. On a terminal what
/// is the same has no column; elsewhere every column stays.
pub fn lines(snapshot: &Snapshot, rows: usize, page: Page) -> (String, Vec<String>) {
    let same = match page.width {
        Some(_) => Same::of(snapshot),
        None => Same::default(),
    };
    // A cell of several holders cannot be shortened.
    let many = table(
        snapshot,
        rows,
        NAMED_HOLDERS[0],
        same,
        page.with_width(None),
    );
    let widest = many.iter().map(|line| line.width()).max().unwrap_or(0);
    let lines = match page.width {
        Some(width) if widest > width => table(snapshot, rows, NAMED_HOLDERS[1], same, page),
        _ => many,
    };
    (same.words().into(), lines)
}

/// What is the same for all sockets, and not worth a column.
#[derive(Debug, Clone, Copy, Default)]
struct Same {
    nothing_to_send: bool,
    keepalive_off: bool,
}

impl Same {
    fn of(snapshot: &Snapshot) -> Self {
        let sockets = &snapshot.sockets;
        let all = |is_so: fn(&Details) -> bool| {
            let mut details = sockets.iter().map(|socket| socket.details.as_deref());
            sockets.len() > 1 && details.all(|details| details.is_some_and(is_so))
        };
        Self {
            nothing_to_send: all(|details| details.send_queue == Some(0)),
            keepalive_off: all(|details| details.keepalive == Some(false)),
        }
    }

    /// The same in words.
    fn words(self) -> &'static str {
        match (self.nothing_to_send, self.keepalive_off) {
            (true, true) => "Send-Q 0, keepalive off",
            (true, false) => "Send-Q 0",
            (false, true) => "keepalive off",
            (false, false) => "",
        }
    }
}

fn table(snapshot: &Snapshot, rows: usize, named: usize, same: Same, page: Page) -> Vec<String> {
    let namespaces: HashSet<_> = snapshot
        .sockets
        .iter()
        .map(|socket| socket.identity.netns)
        .collect();
    let rows: Vec<_> = snapshot
        .sockets
        .iter()
        .take(rows)
        .map(|socket| {
            let mut row = row(socket, snapshot, named, namespaces.len() > 1);
            // Columns without any text are dropped.
            if same.nothing_to_send {
                row[2].clear();
            }
            if same.keepalive_off {
                row[7].clear();
            }
            row
        })
        .collect();
    table::lines(&COLUMNS, &rows, page)
}

fn row(socket: &Socket, snapshot: &Snapshot, named: usize, with_netns: bool) -> Vec<String> {
    let details = socket.details.as_ref();
    let queue = |bytes: Option<u32>| bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string());
    let netns = match socket.identity.netns {
        Some(netns) if with_netns || snapshot.netns_names.contains_key(&netns) => {
            namespace(netns, snapshot)
        }
        None if with_netns => "?".into(),
        _ => String::new(),
    };
    vec![
        age_between(
            socket.age_ns(snapshot.monotonic_ns),
            socket.age_at_most_ns(snapshot.monotonic_ns),
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
        held_by(socket, named),
        match details.and_then(|details| details.keepalive) {
            Some(true) => "on",
            Some(false) => "off",
            None if socket.is_closed() => "",
            None => "?",
        }
        .into(),
        protocol(socket),
        netns,
    ]
}

/// The name of a network namespace, or its number if it has none.
pub fn namespace(netns: u32, snapshot: &Snapshot) -> String {
    match snapshot.netns_names.get(&netns) {
        Some(name) => clean(name),
        None => netns.to_string(),
    }
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

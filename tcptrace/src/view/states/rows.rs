//! Rows of the table: who has the sockets, and with whom they are connected.

use std::{cmp::Reverse, sync::Arc};

use tcptrace_common::TcpState;

use crate::{
    model::{
        owner::Candidates,
        socket::{Endpoint, Role},
        states::{
            counts::Counts,
            member::NoSocket,
            remotes::Remotes,
            report::{By, Group, Key, Report},
        },
    },
    view::{
        Page,
        layout::{
            middle::middle,
            table::{Column, before_pid, before_port, left},
        },
        parts::{address::endpoint, candidates, clean::clean},
    },
};

/// So many processes of one name with the same connections are one row.
const ALIKE: usize = 3;
/// The width of a process's name. Only one with characters that are written as escapes is longer.
const LONGEST_NAME: usize = 24;

/// From this width on there is room for two names where one of several processes is meant.
const MANY: usize = 100;

/// The states of connections, whose sockets are counted in a row.
pub const CONNECTED: [TcpState; 8] = [
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::CloseWait,
    TcpState::Closing,
    TcpState::LastAck,
];

/// Sockets of one process, or of several that are alike.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// What they have in common; of several processes the number does not count.
    pub key: &'a Key,
    /// How many processes.
    pub processes: usize,
    /// How many sockets.
    pub counts: Counts,
    remotes: Remotes,
}

/// Sockets in the states of connections.
pub fn connected(counts: &Counts) -> u64 {
    CONNECTED.iter().map(|state| counts.of(*state)).sum()
}

/// All rows: those with the most sockets in `CLOSE_WAIT` and `FIN_WAIT2` first, which do not leave by themselves, then
/// those with the most in all; of those that are equal, in the order of the keys.
pub fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut groups: Vec<&Group> = report.groups.iter().collect();
    if report.by.is_empty() {
        let like = |key: &Key| (key.comm.clone(), key.server, key.port, key.remote);
        groups.sort_by(|a, b| (like(&a.key), &a.key).cmp(&(like(&b.key), &b.key)));
        for alike in groups.chunk_by(|a, b| a.key.pid.is_some() && like(&a.key) == like(&b.key)) {
            let are_one = alike.len() >= ALIKE && alike.iter().all(|group| group.key.pid.is_some());
            match are_one {
                true => rows.extend(together(alike)),
                false => rows.extend(alike.iter().map(|group| row(group))),
            }
        }
    } else {
        rows.extend(groups.into_iter().map(row));
    }
    let badness = |row: &Row| {
        let counts = &row.counts;
        let others = counts.remainders() + counts.no_socket(NoSocket::HalfOpen);
        [
            counts.of(TcpState::CloseWait) + counts.of(TcpState::FinWait2),
            connected(counts),
            counts.residue,
            others,
        ]
    };
    rows.sort_by(|a, b| (Reverse(badness(a)), a.key).cmp(&(Reverse(badness(b)), b.key)));
    rows
}

fn row(group: &Group) -> Row<'_> {
    Row {
        key: &group.key,
        processes: 1,
        counts: group.counts,
        remotes: group.remotes,
    }
}

fn together<'a>(alike: &[&'a Group]) -> Option<Row<'a>> {
    let (first, others) = alike.split_first()?;
    let mut one = row(first);
    for group in others {
        one.processes += 1;
        one.counts.add_all(&group.counts);
        one.remotes.add_all(group.remotes);
    }
    Some(one)
}

/// The columns that say whose and which sockets a row has.
pub fn columns(by: &[By]) -> Vec<Column<'static>> {
    if by.is_empty() {
        return vec![
            left("PROCESS").name(before_number),
            left("CONNECTION").rank(2).name(before_remote_port),
        ];
    }
    let column = |part: &By| match part {
        By::Comm => left("NAME").rank(2).name(before_number),
        By::Pid => left("PROCESS").name(before_number),
        By::Remote => left("REMOTE").rank(3),
        By::Port => left("PORT").rank(4),
        By::Cgroup => left("CGROUP").rank(5).name(all),
        By::Container => left("CONTAINER").rank(6).name(all),
        By::Netns => left("NETNS").rank(7),
    };
    by.iter().map(column).collect()
}

/// The text in these columns; `from`: whether it says where the connections of a server come from.
pub fn cells(row: &Row, by: &[By], from: bool, page: Page) -> Vec<String> {
    let key = row.key;
    if by.is_empty() {
        return vec![process(row, page), connection(row, from)];
    }
    let most = (page.width).map_or(usize::MAX, |width| LONGEST_NAME.max(width / 3));
    let text = |text: Option<&str>| {
        text.map_or_else(|| "-".into(), |text| middle(&clean(text), most, page.ascii))
    };
    let number = |number: Option<String>| number.unwrap_or_else(|| "-".into());
    let cell = |part: &By| match (part, &key.comm) {
        (By::Comm, Some(comm)) => name(comm, page),
        (By::Comm | By::Pid, _) => process(row, page),
        (By::Remote, _) => number(key.remote.map(|remote| remote.to_string())),
        (By::Port, _) => number(key.port.map(|port| port.to_string())),
        (By::Cgroup, _) => text(key.cgroup.as_deref()),
        (By::Container, _) => text(key.container.as_deref()),
        (By::Netns, _) => number(key.netns.map(|netns| netns.to_string())),
    };
    by.iter().map(cell).collect()
}

/// The name in a width that leaves room for others; a pipe has room.
pub fn name(comm: &str, page: Page) -> String {
    let comm = clean(comm);
    match page.width {
        Some(_) => middle(&comm, LONGEST_NAME, page.ascii),
        None => comm,
    }
}

/// `java[4242]`, `postgres (31)`, `java`, `a[1] or b[2]`; `?` for one that is not known, `-` if there is none.
pub fn process(row: &Row, page: Page) -> String {
    let key = row.key;
    match (&key.comm, key.pid) {
        (Some(comm), _) if row.processes > 1 => format!("{} ({})", name(comm, page), row.processes),
        (Some(comm), Some(pid)) => format!("{}[{pid}]", name(comm, page)),
        (Some(comm), None) => name(comm, page),
        _ if !key.candidates.is_empty() => one_of(&key.candidates, page),
        _ if key.unknown => "?".into(),
        _ => "-".into(),
    }
}

/// Several processes of which one is meant; where there is little room, the first, and how many others.
fn one_of(all: &Candidates, page: Page) -> String {
    let names: Vec<_> = (all.iter())
        .map(|(pid, comm)| (*pid, name(comm, page)))
        .collect();
    match (&names[..], page.width) {
        ([(pid, comm), others @ ..], Some(..MANY)) if !others.is_empty() => {
            let pid = pid.map_or_else(String::new, |pid| format!("[{pid}]"));
            format!("{comm}{pid} or {} more", others.len())
        }
        _ => candidates::one_of(names.iter().map(|(pid, comm)| (*pid, &**comm))),
    }
}

/// `to REMOTE:PORT` of a client, `:PORT from REMOTE` of a server.
pub fn connection(row: &Row, from: bool) -> String {
    let key = row.key;
    match (key.role(), key.port, key.remote) {
        (Role::Server, Some(port), _) => match row.remotes.network().filter(|_| from) {
            Some((address, None)) => format!(":{port} from {address}"),
            Some((network, Some(length))) => format!(":{port} from {network}/{length}"),
            None => format!("on :{port}"),
        },
        (Role::Client, Some(port), Some(address)) => {
            format!("to {}", endpoint(Endpoint { address, port }))
        }
        _ => "-".into(),
    }
}

/// Names of programs, each once.
pub fn names(comms: &[Arc<str>], page: Page) -> String {
    let names: Vec<_> = comms.iter().map(|comm| name(comm, page)).collect();
    candidates::one_of(names.iter().map(|name| (None, &**name)))
}

/// The name in `java[4242]`, `postgres (31)`.
fn before_number(cell: &str) -> usize {
    match cell.rfind(" (").filter(|_| cell.ends_with(')')) {
        Some(at) => cell[..at].chars().count(),
        None => before_pid(cell),
    }
}

/// The address in `to 10.0.0.7:443`. A server's port comes first: nothing of that is shortened.
fn before_remote_port(cell: &str) -> usize {
    match cell.starts_with("to ") {
        true => before_port(cell),
        false => 0,
    }
}

fn all(cell: &str) -> usize {
    cell.chars().count()
}

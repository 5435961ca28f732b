//! What processes, connections and descriptors are called: not yet fit for a terminal.

use crate::{
    model::{
        cause::{DescriptorUse, FollowsFrom},
        socket::Role,
        stuck::{
            group::{Ends, Group},
            snapshot::Snapshot,
        },
    },
    view::parts::{address::endpoint, candidates::one_process_of},
};

/// Which way, and the port that matters: the peer's for clients, this machine's for servers.
pub fn connection(role: Role, ends: Ends) -> String {
    match ends {
        Ends::To(remote) if role == Role::Client => format!("to {}", endpoint(remote)),
        Ends::To(remote) => endpoint(remote),
        Ends::At { port, from, .. } => match from {
            Some(from) => format!(":{port} from {from}"),
            None => format!(":{port}"),
        },
    }
}

/// The same in a sentence.
pub fn connection_in_words(role: Role, ends: Ends) -> String {
    let words = connection(role, ends);
    match ends {
        Ends::At { .. } => format!("on {words}"),
        Ends::To(_) if role == Role::Client => words,
        Ends::To(_) => format!("with {words}"),
    }
}

/// The process of a group in a sentence, or those that may be meant.
pub fn process_in_words(group: &Group) -> String {
    match &group.owner {
        Some(owner) => format!("{}[{}]", owner.comm, owner.pid),
        None if !group.candidates.is_empty() => {
            let candidates = group.candidates.iter();
            let candidates: Vec<_> = candidates.map(|one| (one.pid, one.comm.as_str())).collect();
            one_process_of(&candidates)
        }
        None if group.owner_known => "no process".into(),
        None => "an unknown process".into(),
    }
}

/// Another group, by its process and its connection.
pub fn other_group(other: &FollowsFrom, snapshot: &Snapshot) -> String {
    let role = snapshot
        .groups
        .iter()
        .find(|group| group.is(other))
        .map(|group| group.role);
    format!(
        "{} {}",
        process(other.pid, snapshot),
        connection_in_words(role.unwrap_or(Role::Client), other.ends)
    )
}

/// A process by its number, and by its name if the snapshot has that.
pub fn process(pid: u32, snapshot: &Snapshot) -> String {
    let groups = snapshot.groups.iter();
    let in_groups = groups
        .flat_map(|group| group.owner.iter().chain(&group.candidates))
        .map(|one| (one.pid, &*one.comm));
    let in_sockets = (snapshot.sockets.iter())
        .flat_map(|socket| {
            let listener = socket
                .listener
                .iter()
                .filter_map(|one| one.holders.as_ref());
            socket.holders.iter().chain(listener).flatten()
        })
        .map(|one| (one.pid, &*one.comm));
    match in_groups.chain(in_sockets).find(|(one, _)| *one == pid) {
        Some((_, comm)) => format!("{comm}[{pid}]"),
        None => format!("process {pid}"),
    }
}

/// How many descriptors are open, and may be.
pub fn descriptors(used: DescriptorUse) -> String {
    let DescriptorUse { open, limit } = used;
    match used.are_full() {
        true => format!("{open} of {limit} FULL"),
        false => format!("{open} of {limit}"),
    }
}

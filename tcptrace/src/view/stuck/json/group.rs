//! The groups of a snapshot in JSON.

use serde::Serialize;

use crate::{
    model::{
        container,
        stuck::{
            group::{Group, Keepalive, RecvQueues},
            snapshot::Snapshot,
        },
    },
    view::stuck::{
        groups::command,
        json::{
            diagnosis::{DescriptorsRecord, DiagnosisRecord, descriptors, diagnosis_record},
            ends::{EndpointRecord, LocalRecord, ends},
        },
    },
};

/// A group.
#[derive(Serialize)]
pub struct GroupRecord<'a> {
    pid: Option<u32>,
    comm: Option<&'a str>,
    process_state: Option<char>,
    frozen: Option<bool>,
    candidates: Vec<CandidateRecord<'a>>,
    role: &'static str,
    local: Option<LocalRecord>,
    remote: Option<EndpointRecord>,
    netns: Option<u32>,
    sockets: usize,
    stuck: usize,
    may_be: usize,
    unaccepted: usize,
    entered: Option<usize>,
    left: Option<usize>,
    residue: Option<usize>,
    oldest_ns: u64,
    oldest_at_most_ns: Option<u64>,
    median_ns: u64,
    median_at_most_ns: Option<u64>,
    recv_queue: Option<u64>,
    recv_queues: RecvQueues,
    keepalive: Keepalive,
    descriptors: Option<DescriptorsRecord>,
    unit: Option<&'a str>,
    container: Option<String>,
    command: Option<String>,
    diagnosis: Option<DiagnosisRecord>,
}

#[derive(Serialize)]
struct CandidateRecord<'a> {
    pid: u32,
    comm: &'a str,
    process_state: Option<char>,
    frozen: Option<bool>,
}

/// The record of a group; with `arguments` the command has all of them.
pub fn group_record<'a>(
    group: &'a Group,
    snapshot: &'a Snapshot,
    arguments: bool,
) -> GroupRecord<'a> {
    let owner = group.owner.as_ref();
    let process = |pid: u32| snapshot.processes.get(&pid);
    let state = |pid: u32| process(pid).map(|process| process.state);
    let frozen = |pid: u32| process(pid).and_then(|process| process.frozen);
    let (local, remote) = ends(group.ends);
    GroupRecord {
        pid: owner.map(|owner| owner.pid),
        comm: owner.map(|owner| owner.comm.as_str()),
        process_state: owner.and_then(|owner| state(owner.pid)),
        frozen: owner.and_then(|owner| frozen(owner.pid)),
        candidates: (group.candidates.iter())
            .map(|one| CandidateRecord {
                pid: one.pid,
                comm: &one.comm,
                process_state: state(one.pid),
                frozen: frozen(one.pid),
            })
            .collect(),
        role: group.role.name(),
        local,
        remote,
        netns: group.netns,
        sockets: group.sockets,
        stuck: group.stuck,
        may_be: group.sockets - group.stuck,
        unaccepted: group.unaccepted,
        entered: group.passage.map(|passage| passage.entered),
        left: group.passage.map(|passage| passage.left),
        residue: (group.diagnosis.as_ref())
            .filter(|_| snapshot.residue.is_some())
            .map(|diagnosis| diagnosis.beside.residue),
        oldest_ns: (snapshot.monotonic_ns).saturating_sub(group.oldest.moment_ns()),
        oldest_at_most_ns: group.oldest_at_most_ns,
        median_ns: group.median_ns,
        median_at_most_ns: group.median_at_most_ns,
        recv_queue: group.recv_queue,
        recv_queues: group.recv_queues,
        keepalive: group.keepalive,
        descriptors: descriptors(group),
        unit: group.cgroup.as_deref().and_then(container::unit),
        container: group.cgroup.as_deref().and_then(container::container),
        command: command(group, snapshot, arguments),
        diagnosis: diagnosis_record(group, snapshot),
    }
}

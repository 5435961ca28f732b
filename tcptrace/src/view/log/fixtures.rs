//! Records for tests.

#![allow(missing_docs)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tcptrace_common::{Ending, TcpState};

use crate::{
    fixtures::{NETNS, end, holder},
    model::{
        owner::{KnownBy, Owner, Process},
        recording::{CgroupsFrom, NamedNetns, RecordingHeader},
        request::{Filters, LogFilters, Netns},
        socket::{Family, Identity, Protocol, Role, Since, Socket},
        transition::{Loss, Record, StateDuration, StillOpen, Transition},
    },
};

pub const MONOTONIC_NS: u64 = 3_102_023_951_396;

pub fn time() -> SystemTime {
    // 2026-11-23T01:20:04Z
    UNIX_EPOCH + Duration::new(1_795_396_804, 120_612_547)
}

pub fn process(pid: u32, comm: &str) -> Process {
    Process {
        pid: Some(pid),
        tid: Some(pid + 8),
        comm: comm.into(),
        started_ns: Some(81_230_000_000),
    }
}

pub fn owner(pid: u32, comm: &str) -> Owner {
    Owner {
        process: process(pid, comm),
        known_by: KnownBy::Connect,
        cgroup: Some("/system.slice/app.service".into()),
    }
}

/// The first line that `docs/json.md` shows.
pub fn header() -> RecordingHeader {
    RecordingHeader {
        version: "0.1.0".into(),
        kernel: "6.1.0-18-amd64".into(),
        boot_id: Some("8f5b2c1e-0d3a-4c58-9b7e-2a6f1d0c9e84".into()),
        filters: LogFilters {
            sockets: Filters {
                pids: vec![4242],
                remotes: vec!["10.0.0.0/8".parse().expect("a valid range")],
                netns: Some(Netns::Name("blue".into())),
                ..Filters::default()
            },
            children: true,
            states: vec![TcpState::CloseWait],
        },
        cgroups_from: Some(CgroupsFrom::Machine),
        netns: vec![NamedNetns {
            inode: 4_026_532_301,
            name: "blue".into(),
        }],
        time: time(),
        monotonic_ns: MONOTONIC_NS,
    }
}

/// The line that `docs/json.md` shows.
pub fn transition() -> Transition {
    Transition {
        time: time(),
        monotonic_ns: MONOTONIC_NS,
        from: TcpState::Established,
        to: TcpState::CloseWait,
        ending: Ending::Closed,
        duration: StateDuration::Exact(2_000_110),
        socket: Identity {
            protocol: Protocol::Tcp,
            family: Family::Ipv4,
            local: end("10.0.0.1", 41234),
            remote: end("10.0.0.7", 443),
            netns: Some(NETNS),
            cookie: Some(77),
            role: Role::Client,
        },
        opener: Some(owner(4242, "java")),
        user: None,
        caller: None,
    }
}

/// A transition of a socket of this process.
pub fn of(pid: u32, comm: &str) -> Record {
    let mut transition = transition();
    transition.opener = Some(owner(pid, comm));
    Record::Transition(transition)
}

pub fn still_open() -> StillOpen {
    let Transition {
        socket,
        opener: owner,
        ..
    } = transition();
    let since = Since::AtLatest(MONOTONIC_NS - 182_000_000_000);
    let mut socket = Socket::logged(socket, TcpState::CloseWait, since, owner);
    socket.holders = Some(vec![holder(4242, "java", 57), holder(4300, "sh", 57)]);
    StillOpen {
        time: time(),
        monotonic_ns: MONOTONIC_NS,
        socket,
        residue_of: None,
    }
}

pub fn loss() -> Loss {
    Loss {
        time: time(),
        monotonic_ns: MONOTONIC_NS,
        transitions: 12,
        sockets: 0,
        runs: 2,
    }
}

/// One record of each kind, and records without optional parts.
pub fn all() -> Vec<Record> {
    let mut connecting = transition();
    connecting.from = TcpState::Close;
    connecting.to = TcpState::SynSent;
    connecting.duration = StateDuration::Unknown;
    connecting.socket.local = end("10.0.0.1", 0);
    connecting.caller = Some(process(4242, "java"));

    let mut inherited = transition();
    inherited.from = TcpState::CloseWait;
    inherited.to = TcpState::LastAck;
    inherited.duration = StateDuration::AtLeast(182_000_000_000);
    inherited.socket.local = end("2001:db8::7:0:1", 443);
    inherited.socket.remote = end("::ffff:192.0.2.9", 51000);
    inherited.socket.family = Family::Ipv6;
    inherited.socket.protocol = Protocol::Mptcp;
    inherited.socket.role = Role::Server;
    inherited.socket.netns = Some(4_026_532_999);
    inherited.opener = Some(Owner {
        process: process(80, "nginx"),
        known_by: KnownBy::Listener,
        cgroup: None,
    });
    inherited.caller = Some(process(4300, "sh"));

    let mut unknown = transition();
    unknown.from = TcpState::SynRecv;
    unknown.to = TcpState::Established;
    unknown.duration = StateDuration::Exact(812_400);
    unknown.socket.role = Role::Unknown;
    unknown.socket.netns = None;
    unknown.socket.cookie = None;
    unknown.opener = None;

    let mut reset = transition();
    (reset.from, reset.to) = (TcpState::CloseWait, TcpState::Close);
    reset.ending = Ending::ResetStillOpen;
    let untold = Transition {
        ending: Ending::Unknown,
        ..reset.clone()
    };
    let mut residue = still_open();
    residue.socket.state = TcpState::Close;
    residue.socket.since = Since::Exact(MONOTONIC_NS - 3_000_000_000);
    residue.socket.holders = None;
    residue.residue_of = Some(TcpState::CloseWait);

    let mut nobody = still_open();
    nobody.socket.since = Since::Exact(MONOTONIC_NS - 2_500_000_000);
    nobody.socket.set_owner(None);
    nobody.socket.holders = None;
    vec![
        Record::Transition(connecting),
        Record::Transition(transition()),
        Record::Transition(inherited),
        Record::Transition(unknown),
        Record::Transition(reset),
        Record::Transition(untold),
        Record::StillOpen(still_open()),
        Record::StillOpen(nobody),
        Record::StillOpen(residue),
        Record::Loss(loss()),
    ]
}

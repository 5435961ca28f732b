//! Sockets and looks for tests.

#![allow(missing_docs)]

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tcptrace_common::{Ending, TcpState};

use crate::{
    diagnosis::{
        recording::{self, journal::Journal},
        stuck::{self, tracker::Tracker},
    },
    model::{
        caveat::Caveat,
        filter::Filter,
        owner::{Holder, KnownBy, Owner, Process, Via},
        recording::{NamedNetns, RecordingHeader},
        request::{Filters, LogFilters},
        socket::{Details, Endpoint, Family, Identity, Protocol, Role, Since, Socket, Timer},
        stuck::{
            look::{
                Coverage, Descriptor, Descriptors, Entered, Hook, Listed, Listening, Look, Looked,
                ProcessInfo, Sent, Tracing, Waiting,
            },
            snapshot::{Snapshot, Watched},
        },
        transition::{Loss, Record, StateDuration, StillOpen, Transition},
    },
};

/// The namespace that all of these are in.
pub const NETNS: u32 = 4_026_531_833;
/// The moment of every look here: 1000 s after boot.
pub const NOW_NS: u64 = 1_000_000_000_000;
pub const SECOND: u64 = 1_000_000_000;

pub fn end(address: &str, port: u16) -> Endpoint {
    Endpoint {
        address: address.parse().expect("tests give valid addresses"),
        port,
    }
}

pub fn holder(pid: u32, comm: &str, fd: u32) -> Holder {
    Holder {
        pid,
        tid: None,
        fd: Some(fd),
        via: Via::Descriptor,
        comm: comm.into(),
    }
}

/// The header of a recording of everything, begun at 1 s.
pub fn recording_header() -> RecordingHeader {
    RecordingHeader {
        version: "0.1.0".into(),
        kernel: "6.1.0".into(),
        boot_id: None,
        filters: LogFilters::default(),
        cgroups_from: None,
        netns: vec![NamedNetns {
            inode: NETNS,
            name: "blue".into(),
        }],
        time: time(SECOND),
        monotonic_ns: SECOND,
    }
}

/// A socket with this cookie that `sock_diag` lists, with its last acknowledgment `seconds` ago.
/// Its inode is ten times the cookie.
pub fn listed(cookie: u64, local: Endpoint, remote: Endpoint, seconds: u64) -> Listed {
    Listed {
        netns: NETNS,
        cookie: Some(cookie),
        interface: 0,
        protocol: Protocol::Tcp,
        family: Family::of(local.address),
        local,
        remote,
        state: TcpState::CloseWait,
        listed_ns: NOW_NS,
        last_ack_ns: Some(NOW_NS - seconds * SECOND),
        data_not_before_ns: Some(NOW_NS - seconds * SECOND),
        sent_not_before_ns: Some(NOW_NS - seconds * SECOND),
        first_syn: None,
        backlog: None,
        sent: None,
        server_side: None,
        details: Details {
            inode: u32::try_from(cookie * 10).expect("tests give small cookies"),
            uid: 1000,
            recv_queue: Some(1),
            send_queue: Some(0),
            timer: Some(Timer::None),
            keepalive: Some(false),
            bytes_received: Some(512),
            bytes_acked: Some(128),
            last_data_ns: Some(NOW_NS - seconds * SECOND),
            touched_ns: None,
            last_sent_ns: None,
            data_segments_in: None,
            data_segments_out: None,
            backoff: None,
            keepalive_due_ns: None,
            cgroup_id: None,
            subflows: None,
            remainder: false,
        },
    }
}

/// The same socket as the kernel side saw it enter, `seconds` ago.
pub fn entered(listed: &Listed, seconds: u64) -> Entered {
    Entered {
        since_ns: NOW_NS - seconds * SECOND,
        cookie: listed.cookie,
        netns: Some(listed.netns),
        interface: Some(listed.interface),
        from_listener: None,
        at_entry: None,
        protocol: Protocol::Tcp,
        family: listed.family,
        local: listed.local,
        remote: listed.remote,
    }
}

pub fn held(listed: &Listed, holder: Holder) -> Descriptor {
    Descriptor {
        inode: listed.details.inode.into(),
        holder,
    }
}

/// Gives every holder this name.
pub fn call_holders(look: &mut Look, comm: &str) {
    let held = look.held.take().unwrap_or_default();
    let renamed = held.all().iter().map(|descriptor| {
        let mut descriptor = descriptor.clone();
        descriptor.holder.comm = comm.into();
        descriptor
    });
    look.held = Some(Descriptors::new(renamed.collect()));
}

pub fn listening(address: &str, port: u16, inode: u32, queued: u32) -> Listening {
    Listening {
        netns: NETNS,
        interface: 0,
        transparent: None,
        local: end(address, port),
        v6_only: None,
        inode,
        queued,
        backlog: 128,
    }
}

pub fn process(started: u64) -> ProcessInfo {
    ProcessInfo {
        state: 'S',
        frozen: Some(false),
        started,
        began_ns: None,
        cgroup: None,
        arguments: Vec::new(),
    }
}

/// A look at a machine without any socket.
pub fn look() -> Look {
    Look {
        time: UNIX_EPOCH + Duration::from_nanos(1_795_000_000_123_456_789),
        monotonic_ns: NOW_NS,
        entered: Vec::new(),
        exits: Vec::new(),
        listed: Vec::new(),
        coverage: Coverage {
            complete: [NETNS].into(),
        },
        looked: Looked {
            namespaces: 1,
            sockets: Some(412),
        },
        listening: Vec::new(),
        waiting: Vec::new(),
        dead: Some(Vec::new()),
        in_pid_namespace: false,
        held: Some(Descriptors::default()),
        processes: HashMap::new(),
        cgroups: HashMap::new(),
        netns_names: HashMap::new(),
        tracing: Tracing {
            hook: Some(Hook::Btf),
            filtered: true,
            ..Tracing::default()
        },
        caveats: Vec::new(),
    }
}

/// `CLOSE_WAIT` for 30 s or longer.
pub fn watched() -> Watched {
    Watched {
        state: TcpState::CloseWait,
        older_than_ns: 30 * SECOND,
        filter: Filter::default(),
        filters: Filters::default(),
    }
}

/// The sockets that are stuck for 30 s or longer at this look.
pub fn snapshot(look: Look) -> Snapshot {
    stuck::snapshot::snapshot(look, &mut Tracker::new(TcpState::CloseWait), &watched())
}

/// The socket that is listed.
pub fn socket(listed: Listed) -> Socket {
    let mut look = look();
    look.listed = vec![listed];
    let mut sockets = Tracker::new(TcpState::CloseWait).sockets(&mut look);
    sockets.pop().expect("it is listed")
}

/// A leaking HTTP client (`java`, two sockets, one of them also held by a child), a server that
/// forgets to close (`nginx`) and has a connection waiting to be accepted.
pub fn busy_look() -> Look {
    let server = end("10.0.0.7", 8080);
    let mut first = listed(1, end("10.0.0.2", 40001), server, 700);
    let mut second = listed(2, end("10.0.0.2", 40002), server, 90);
    // A client's SYN is acknowledged beside its data.
    let sent = Sent {
        acked: 101,
        in_flight: 0,
        unsent: 0,
        bytes: 100,
        again: 0,
    };
    (first.sent, second.sent) = (Some(sent), Some(sent));
    let mut forgotten = listed(
        3,
        end("::ffff:10.0.0.2", 443),
        end("::ffff:192.0.2.9", 51000),
        65,
    );
    forgotten.backlog = Some(511);
    let mut waiting = listed(4, end("10.0.0.2", 443), end("192.0.2.8", 51001), 40);
    waiting.details.inode = 0;
    waiting.details.recv_queue = Some(78);
    let mut look = look();
    look.entered = vec![entered(&second, 91)];
    look.held = Some(Descriptors::new(vec![
        held(&first, holder(4242, "java", 57)),
        held(&second, holder(4242, "java", 58)),
        held(&second, holder(4300, "sh", 58)),
        held(&forgotten, holder(80, "nginx", 9)),
        Descriptor {
            inode: 990,
            holder: holder(80, "nginx", 6),
        },
    ]));
    look.listening = vec![listening("0.0.0.0", 443, 990, 1)];
    look.waiting = vec![Waiting {
        listener: 990,
        netns: NETNS,
        local: waiting.local,
        remote: waiting.remote,
    }];
    look.listed = vec![first, second, forgotten, waiting];
    look.processes = [
        (
            4242,
            ProcessInfo {
                arguments: ["java", "-Dkey=s3cret", "-jar", "/opt/checkout.jar"]
                    .map(ToOwned::to_owned)
                    .to_vec(),
                ..process(500)
            },
        ),
        (4300, process(900)),
        (80, process(100)),
    ]
    .into();
    look.tracing.entered = 7;
    look.tracing.left = 6;
    look.tracing.recursion_misses = Some(0);
    look
}

/// The wall-clock time when the monotonic one says `at_ns`.
pub fn time(at_ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000) + Duration::from_nanos(at_ns)
}

/// A transition of the socket with this cookie, which is also its port's last digits, at `at_ns`;
/// `java` opened it.
pub fn transition(cookie: u64, from: TcpState, to: TcpState, at_ns: u64) -> Transition {
    let port = 40_000 + u16::try_from(cookie).expect("tests give small cookies");
    Transition {
        time: time(at_ns),
        monotonic_ns: at_ns,
        from,
        to,
        ending: Ending::by_states(from.number().into(), to.number().into()),
        duration: StateDuration::Unknown,
        socket: Identity {
            protocol: Protocol::Tcp,
            family: Family::Ipv4,
            local: end("10.0.0.2", port),
            remote: end("10.0.0.7", 8080),
            netns: Some(NETNS),
            cookie: Some(cookie),
            role: Role::Client,
        },
        user: None,
        opener: Some(Owner {
            process: Process {
                pid: Some(4242),
                tid: Some(4250),
                comm: "java".into(),
                started_ns: Some(81 * SECOND),
            },
            known_by: KnownBy::Connect,
            cgroup: Some("/system.slice/app.service".into()),
        }),
        caller: None,
    }
}

/// The end of a recording: a leak of `java`, a connection that no process had accepted when the log
/// ended, one that came in at a listener about which nothing else is known, and an uncertain one.
pub fn recorded() -> Snapshot {
    let wait = |cookie, at| transition(cookie, TcpState::Established, TcpState::CloseWait, at);
    let came_in = |cookie, at| {
        let mut seen = wait(cookie, at);
        seen.socket.role = Role::Server;
        let owner = seen.opener.as_mut().expect("it has one");
        (owner.process.pid, owner.process.comm) = (Some(80), "nginx".into());
        (owner.known_by, owner.cgroup) = (KnownBy::Listener, None);
        seen
    };
    let mut journal = Journal::new(TcpState::CloseWait);
    journal.add(Record::Transition(wait(1, 5 * SECOND)));
    journal.add(Record::Loss(Loss {
        time: time(6 * SECOND),
        monotonic_ns: 6 * SECOND,
        transitions: 12,
        sockets: 3,
        runs: 0,
    }));
    let sure = [wait(2, 10 * SECOND), came_in(3, 20 * SECOND)];
    for seen in &sure {
        journal.add(Record::Transition(seen.clone()));
    }
    for (seen, holders) in sure
        .into_iter()
        .zip([None, None])
        .chain([(came_in(4, 0), Some(vec![]))])
    {
        let since = Since::AtLatest(50 * SECOND);
        let mut socket = Socket::logged(seen.socket, TcpState::CloseWait, since, seen.opener);
        socket.holders = holders;
        journal.add(Record::StillOpen(StillOpen {
            time: time(100 * SECOND),
            monotonic_ns: 100 * SECOND,
            socket,
            residue_of: None,
        }));
    }
    let caveats = vec![Caveat::DamagedLines {
        count: 1,
        first: vec![3],
        reason: "not a JSON object".into(),
    }];
    recording::snapshot::snapshot(journal.finish(), &watched(), caveats)
}

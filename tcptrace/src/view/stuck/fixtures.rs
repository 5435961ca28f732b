//! Diagnoses for tests of views.

#![allow(missing_docs)]

use crate::{
    fixtures::{NETNS, NOW_NS, SECOND, end, holder},
    model::{
        cause::{
            Beside, Cause, CauseName, DescriptorUse, Diagnosis, Evidence, FollowsFrom, Growth,
            KeepaliveSysctls, Leak, Share, WouldTell,
        },
        socket::{Endpoint, Family},
        stuck::{
            group::RecvQueues,
            residue::{DiedBy, Residue},
            snapshot::Snapshot,
        },
    },
};

const MS: u64 = 1_000_000;

pub fn share(count: usize) -> Share {
    Share { count, of: 100 }
}

pub fn queues(zero: usize, one: usize) -> RecvQueues {
    RecvQueues {
        zero,
        one,
        ..RecvQueues::default()
    }
}

fn cause(name: CauseName, evidence: Vec<Evidence>) -> Cause {
    Cause { name, evidence }
}

/// A client that never gives back.
pub fn leased() -> Diagnosis {
    Diagnosis {
        leak: Leak::Yes,
        causes: vec![cause(
            CauseName::Leased,
            vec![
                Evidence::Unread(queues(67, 33)),
                Evidence::FinGap {
                    share: share(100),
                    least_ns: 0,
                    most_ns: 0,
                },
                Evidence::OneExchange(share(100)),
            ],
        )],
        would_tell: vec![WouldTell::HttpStatus, WouldTell::ThreadDump, WouldTell::Log],
        beside: Beside {
            keepalive: Some(KeepaliveSysctls {
                time_s: 7200,
                interval_s: 75,
                probes: 9,
            }),
            descriptors: Some(DescriptorUse {
                open: 112,
                limit: 20_000,
            }),
            growth: Some(Growth::Plateau {
                for_ns: 34 * SECOND,
            }),
            residue: 50,
            ..Beside::default()
        },
        ..Diagnosis::default()
    }
}

/// A server that waits for the first group of the snapshot, near its limit of descriptors.
pub fn starved(snapshot: &Snapshot) -> Diagnosis {
    let first = &snapshot.groups[0];
    let follows_from = first.owner.as_ref().map(|owner| FollowsFrom {
        pid: owner.pid,
        ends: first.ends,
    });
    Diagnosis {
        leak: Leak::Unknown,
        causes: vec![cause(
            CauseName::Starved,
            vec![
                Evidence::NothingRead(share(100)),
                Evidence::BeganLater {
                    than: follows_from.expect("the first group has a process"),
                    by_ns: 5 * SECOND,
                },
            ],
        )],
        leak_because: vec![Evidence::TooYoung {
            oldest_ns: 38 * SECOND,
        }],
        follows_from,
        would_tell: vec![WouldTell::LongerSession, WouldTell::ThreadDump],
        beside: Beside {
            descriptors: Some(DescriptorUse {
                open: 990,
                limit: 1024,
            }),
            runs_out_ns: Some((10 * SECOND, Some(95 * SECOND))),
            growth: Some(Growth::Steady {
                sockets: 40,
                within_ns: 12 * SECOND,
            }),
            ..Beside::default()
        },
    }
}

/// Connections that a pool may still have use for.
pub fn idle_or_leased() -> Diagnosis {
    let gap = Evidence::FinGap {
        share: share(100),
        least_ns: 5000 * MS,
        most_ns: 5150 * MS,
    };
    Diagnosis {
        causes: vec![
            cause(
                CauseName::IdlePooled,
                vec![gap.clone(), Evidence::SeveralExchanges(share(97))],
            ),
            cause(CauseName::Leased, vec![gap]),
        ],
        would_tell: vec![WouldTell::NextUse, WouldTell::Log],
        beside: Beside {
            next_probe_ns: Some(58 * SECOND),
            ..leased().beside
        },
        ..Diagnosis::default()
    }
}

/// Nothing tells.
pub fn untold() -> Diagnosis {
    Diagnosis {
        leak_because: vec![Evidence::RoleUnknown],
        would_tell: vec![WouldTell::Session, WouldTell::Privileges],
        ..Diagnosis::default()
    }
}

/// Gives the groups a cause, and its consequence.
pub fn diagnose(snapshot: &mut Snapshot) {
    let starved = starved(snapshot);
    snapshot.groups[0].diagnosis = Some(Box::new(leased()));
    for group in snapshot.groups.iter_mut().skip(1) {
        group.diagnosis = Some(Box::new(starved.clone()));
    }
}

/// Residue of a process with this name, a client and a server, and of an unknown one.
pub fn add_residue(snapshot: &mut Snapshot, comm: &str) {
    let one = |number: u16, remote: Endpoint| Residue {
        holders: vec![holder(16062, comm, u32::from(number))],
        family: Family::Ipv4,
        local: end("10.0.0.2", 37_000 + number),
        remote,
        netns: NETNS,
        inode: number.into(),
        died_ns: Some(NOW_NS - u64::from(number) * SECOND),
        died_by: DiedBy::Reset,
        was_close_wait: Some(true),
        cgroups: Vec::new(),
        never_connected: false,
    };
    let mut residue: Vec<_> = (20..30)
        .map(|number| one(number, end("10.0.0.7", 8080)))
        .collect();
    residue.extend((40..42).map(|number| Residue {
        local: end("10.0.0.2", 443),
        died_by: DiedBy::Timeout,
        was_close_wait: None,
        ..one(number, end("::ffff:10.0.0.9", 50_000 + number))
    }));
    residue[0].died_by = DiedBy::Unknown;
    residue.push(Residue {
        holders: Vec::new(),
        died_ns: None,
        was_close_wait: Some(false),
        ..one(60, end("2001:db8::7", 9090))
    });
    snapshot.residue = Some(residue);
    let failed = Residue {
        never_connected: true,
        ..one(70, end("10.0.0.7", 1))
    };
    snapshot.failed_connects = Some(vec![failed]);
}

/// Every cause with all evidence, and everything that would tell more.
pub fn everything(snapshot: &Snapshot) -> Diagnosis {
    let evidence = every_evidence(snapshot);
    let causes = CauseName::ALL.iter();
    Diagnosis {
        causes: causes.map(|name| cause(*name, evidence.clone())).collect(),
        leak_because: evidence,
        would_tell: vec![
            WouldTell::Session,
            WouldTell::NextUse,
            WouldTell::LongerSession,
            WouldTell::ThreadDump,
            WouldTell::Log,
            WouldTell::HttpStatus,
            WouldTell::Privileges,
            WouldTell::Look,
        ],
        ..starved(snapshot)
    }
}

/// One of each.
pub fn every_evidence(snapshot: &Snapshot) -> Vec<Evidence> {
    let other = starved(snapshot).follows_from.expect("it follows");
    vec![
        Evidence::Unread(queues(67, 33)),
        Evidence::Unread(queues(0, 12)),
        Evidence::Unread(queues(12, 0)),
        Evidence::Unread(RecvQueues {
            more: 3,
            unknown: 2,
            ..queues(1, 0)
        }),
        Evidence::ProcessStopped,
        Evidence::ProcessFrozen,
        Evidence::Throttled {
            throttled: 40,
            periods: 50,
        },
        Evidence::LeftTogether {
            exits: share(38),
            moments: 3,
        },
        Evidence::NoSurvivor {
            first: 12,
            ago_ns: 40 * SECOND,
        },
        Evidence::BytesRead(share(1)),
        Evidence::BytesAcked(share(2)),
        Evidence::Served { count: 12 },
        Evidence::StillGrowing,
        Evidence::AcceptedSince { count: 7 },
        Evidence::WaitsForTime {
            share: share(1),
            most_ns: 178 * SECOND,
        },
        Evidence::WaitsForChildren(share(30)),
        Evidence::NoneServed {
            for_ns: 120 * SECOND,
        },
        Evidence::NeverAccepted(share(90)),
        Evidence::Queue {
            queued: 129,
            backlog: 128,
        },
        Evidence::NotAcceptedForLackOfDescriptors { unaccepted: 31 },
        Evidence::AcceptingIsHeldUp { unaccepted: 31 },
        Evidence::HeldByTwo(share(80)),
        Evidence::HolderBeganLater(share(80)),
        Evidence::ListenerElsewhere { pid: 80 },
        Evidence::NoListener,
        Evidence::NotCloseOnExec(share(80)),
        Evidence::Unacknowledged(share(5)),
        Evidence::WindowShut {
            share: share(5),
            doubled: 6,
        },
        Evidence::NothingRead(share(100)),
        Evidence::EndNotRead(share(100)),
        Evidence::AnsweredEndNotRead(share(80)),
        Evidence::DataNotRead(share(3)),
        Evidence::AllRead(share(100)),
        Evidence::AnsweredBefore(share(100)),
        Evidence::SentSince(share(7)),
        Evidence::NeverAnswered(share(100)),
        Evidence::Watched(share(100)),
        Evidence::Unwatched(share(100)),
        Evidence::EdgeTriggered(share(100)),
        Evidence::ConnectedTo {
            remote: end("10.0.0.7", 9090),
            count: 1,
        },
        Evidence::AnswerNotRead(share(33)),
        Evidence::FinGap {
            share: share(60),
            least_ns: 0,
            most_ns: 340 * MS,
        },
        Evidence::FinGapUnknown(share(40)),
        Evidence::FinsTogether {
            share: share(9),
            within_ns: 40 * MS,
            uses_ns: 3200 * MS,
        },
        Evidence::NothingReceived(share(9)),
        Evidence::NothingSent(share(9)),
        Evidence::CameUnasked(share(9)),
        Evidence::OneExchange(share(100)),
        Evidence::SeveralExchanges(share(100)),
        Evidence::UsedAtOnce(share(51)),
        Evidence::AtOnce {
            count: 50,
            for_ns: 34 * SECOND,
        },
        Evidence::Growth(Growth::None),
        Evidence::Growth(Growth::Steady {
            sockets: 40,
            within_ns: 12 * SECOND,
        }),
        Evidence::Growth(Growth::Plateau {
            for_ns: 34 * SECOND,
        }),
        Evidence::Growth(Growth::Sawtooth { falls: 1 }),
        Evidence::Growth(Growth::Shrinks),
        Evidence::DescriptorsFull {
            open: 64,
            limit: 64,
        },
        Evidence::BeganLater {
            than: other,
            by_ns: 5 * SECOND,
        },
        Evidence::MayFollowFrom(other),
        Evidence::OtherEndsIn {
            group: other,
            count: 120,
        },
        Evidence::TooYoung {
            oldest_ns: 12 * SECOND,
        },
        Evidence::RoleUnknown,
        Evidence::NotReadable(share(4)),
    ]
}

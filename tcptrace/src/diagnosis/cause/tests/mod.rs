//! The rules, on looks of which the figures are given.

mod clients;
mod consequences;
mod never_wrong;
mod residue;
mod servers;
mod sessions;

use std::collections::HashMap;

use super::*;
use crate::{
    diagnosis::stuck::{snapshot::snapshot, tracker::Tracker},
    fixtures::{self, NOW_NS, SECOND, end},
    model::{
        cause::{CauseName, Diagnosis, Interest, ProcessClues},
        stuck::look::{Descriptors, Listed, Look, Sent},
    },
};

const MS: u64 = 1_000_000;
/// The process that all sockets here belong to.
const PID: u32 = 4242;

/// A socket, by its figures; times are before the look, in ns.
#[derive(Debug, Clone, Copy)]
struct Plan {
    is_client: bool,
    /// When the FIN came, and how long before it the last data.
    age_ns: u64,
    gap_ns: u64,
    /// How long before the last data this end had sent its last; later than it if negative.
    sent_before_ns: i64,
    unread: u32,
    received: u64,
    segments: (u32, u32),
    unacknowledged: u32,
    acked: u64,
    keepalive: bool,
    is_accepted: bool,
    backoff: u8,
}

/// A client that has had one short answer, read or not, whose peer closed with it.
const CLIENT: Plan = Plan {
    is_client: true,
    age_ns: 70 * SECOND,
    gap_ns: 0,
    sent_before_ns: 2_000_000,
    unread: 1,
    received: 301,
    segments: (1, 1),
    unacknowledged: 0,
    acked: 101,
    keepalive: false,
    is_accepted: true,
    backoff: 0,
};

/// A server's socket whose peer has sent a request and gone away.
const SERVER: Plan = Plan {
    is_client: false,
    gap_ns: 500 * MS,
    sent_before_ns: 0,
    received: 59,
    unread: 59,
    segments: (1, 0),
    acked: 0,
    ..CLIENT
};

/// A server's socket that has been answered, and whose end was read.
const ANSWERED: Plan = Plan {
    sent_before_ns: -2_000_000,
    unread: 0,
    segments: (1, 1),
    acked: 100,
    ..SERVER
};

fn listed(number: usize, plan: Plan) -> Listed {
    let cookie = number as u64 + 1;
    let port = 40_000 + u16::try_from(number).expect("tests have few");
    let (local, remote) = if plan.is_client {
        (end("10.0.0.2", port), end("10.0.0.7", 8080))
    } else {
        (end("10.0.0.2", 80), end("10.0.0.9", port))
    };
    let mut one = fixtures::listed(cookie, local, remote, 0);
    let fin_ns = NOW_NS - plan.age_ns;
    let data_ns = fin_ns - plan.gap_ns;
    one.last_ack_ns = Some(fin_ns);
    one.data_not_before_ns = Some(data_ns - 28 * MS);
    one.backlog = Some(if plan.is_client { 0 } else { 128 });
    one.sent = Some(Sent {
        acked: plan.acked,
        in_flight: 0,
        unsent: 0,
        bytes: plan.acked - u64::from(plan.is_client),
        again: 0,
    });
    let details = &mut one.details;
    details.inode = if plan.is_accepted {
        u32::try_from(cookie).expect("small")
    } else {
        0
    };
    details.recv_queue = Some(plan.unread);
    details.send_queue = Some(plan.unacknowledged);
    details.keepalive = Some(plan.keepalive);
    details.bytes_received = Some(plan.received);
    details.bytes_acked = Some(plan.acked);
    details.last_data_ns = Some(data_ns);
    details.last_sent_ns = data_ns.checked_add_signed(-plan.sent_before_ns);
    (details.data_segments_in, details.data_segments_out) =
        (Some(plan.segments.0), Some(plan.segments.1));
    details.backoff = Some(plan.backoff);
    one
}

/// A look at these sockets, all of one process that listens on port 80.
fn look_at(plans: &[Plan]) -> Look {
    let mut look = fixtures::look();
    look.listed = plans
        .iter()
        .enumerate()
        .map(|(number, plan)| listed(number, *plan))
        .collect();
    let queued = plans.iter().filter(|plan| !plan.is_accepted).count();
    let queued = u32::try_from(queued).expect("small");
    look.listening = vec![fixtures::listening("0.0.0.0", 80, 4_000_000, queued)];
    let mut held: Vec<_> = (look.listed.iter())
        .filter(|one| one.details.inode != 0)
        .map(|one| fixtures::held(one, fixtures::holder(PID, "app", one.details.inode)))
        .collect();
    held.push(crate::model::stuck::look::Descriptor {
        inode: 4_000_000,
        holder: fixtures::holder(PID, "app", 3),
    });
    look.held = Some(Descriptors::new(held));
    let mut process = fixtures::process(100);
    process.began_ns = Some(SECOND);
    look.processes = [(PID, process)].into();
    look
}

/// What is said at one look, with these clues about the process.
fn said_with(look: Look, clues: ProcessClues) -> Snapshot {
    let mut snapshot = snapshot(look, &mut Tracker::once(TcpState::CloseWait), &any_age());
    let clues = Clues {
        processes: HashMap::from([(PID, clues)]),
        ..Clues::default()
    };
    diagnose(&mut snapshot, &clues, None);
    snapshot
}

fn any_age() -> crate::model::stuck::snapshot::Watched {
    crate::model::stuck::snapshot::Watched {
        older_than_ns: 0,
        ..fixtures::watched()
    }
}

/// What is said of the only group.
fn said(plans: &[Plan]) -> Diagnosis {
    only(&said_with(look_at(plans), ProcessClues::default()))
}

fn only(snapshot: &Snapshot) -> Diagnosis {
    assert_eq!(snapshot.groups.len(), 1, "{:#?}", snapshot.groups);
    let diagnosis = snapshot.groups[0].diagnosis.clone();
    *diagnosis.expect("it was asked for")
}

fn names(diagnosis: &Diagnosis) -> Vec<CauseName> {
    diagnosis.causes.iter().map(|cause| cause.name).collect()
}

/// So many alike, some with other unread bytes.
fn many(count: usize, plan: Plan) -> Vec<Plan> {
    vec![plan; count]
}

/// Sockets that came one after another, so far apart.
fn one_by_one(count: usize, apart_ns: u64, plan: Plan) -> Vec<Plan> {
    let at = |number: usize| Plan {
        age_ns: plan.age_ns + number as u64 * apart_ns,
        ..plan
    };
    (0..count).map(at).collect()
}

/// The same five minutes later.
fn later(plan: Plan) -> Plan {
    Plan {
        age_ns: plan.age_ns + 300 * SECOND,
        ..plan
    }
}

//! Reports for tests.

use tcptrace_common::TcpState;

use crate::{
    diagnosis::hist::report::report as worst_first,
    fixtures::{time, transition},
    model::{
        hist::{
            durations::{Durations, Selection},
            key::Part,
            report::{Account, Extent, Report, Span},
        },
        socket::{Since, Socket},
        stuck::look::Hook,
        transition::{StateDuration, Transition},
    },
};

pub const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;

fn left(state: TcpState, comm: &str, duration: StateDuration) -> Transition {
    let mut seen = transition(1, state, TcpState::LastAck, 100 * SECOND);
    seen.duration = duration;
    match seen.opener.as_mut() {
        Some(owner) if comm != "?" => owner.process.comm = comm.into(),
        _ => seen.opener = None,
    }
    seen
}

/// A leak of `java`, and finished durations of `nginx` and of an unknown owner, by these parts.
pub fn durations(by: &[Part], max_keys: usize) -> Durations {
    let state = TcpState::CloseWait;
    let mut durations = Durations::new(Selection {
        states: vec![state, TcpState::LastAck],
        by: by.to_vec(),
        max_keys,
    });
    for ms in [1, 2, 2, 3, 7, 15, 4000] {
        durations.transition(&left(state, "java", StateDuration::Exact(ms * MS)));
    }
    for us in 20..120 {
        durations.transition(&left(state, "nginx", StateDuration::Exact(us * 1000)));
    }
    durations.transition(&left(state, "nginx", StateDuration::AtLeast(90 * SECOND)));
    durations.transition(&left(state, "?", StateDuration::Unknown));
    let java = left(state, "java", StateDuration::Unknown);
    for since in [Since::Exact(40), Since::Exact(69), Since::AtLatest(5)] {
        let since = match since {
            Since::Exact(s) => Since::Exact(s * SECOND),
            Since::AtLatest(s) => Since::AtLatest(s * SECOND),
        };
        let (socket, owner) = (java.socket.clone(), java.opener.clone());
        durations.open(&Socket::logged(socket, state, since, owner), 100 * SECOND);
    }
    durations
}

/// The report.
pub fn report(by: &[Part], max_keys: usize, include_open: bool) -> Report {
    let span = Span {
        time: Some(time(100 * SECOND)),
        end_ns: 100 * SECOND,
        length_ns: 61 * SECOND,
        extent: Extent::Whole,
    };
    let account = Account {
        hook: Some(Hook::Btf),
        skipped: Some(0),
        ..Account::default()
    };
    worst_first(&durations(by, max_keys), span, include_open, account)
}

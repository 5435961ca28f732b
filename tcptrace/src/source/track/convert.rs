//! Converts the kernel side's records to the model's types.

use std::time::{Duration, SystemTime};

use tcptrace_common::{IPPROTO_MPTCP, TcpState, TrackedSocket, TransitionRecord, WatchedSocket};

use crate::{
    model::{
        socket::{Identity, Protocol, Role, Since},
        track::{SeenTransition, TableEntry},
    },
    source::{
        bpf::socket,
        machine::clock::monotonic_ns,
        track::processes::{Processes, nonzero},
    },
};

/// The same moment by two clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Wall-clock time.
    pub time: SystemTime,
    /// In ns of `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            time: SystemTime::now(),
            monotonic_ns: monotonic_ns(),
        }
    }

    /// The wall-clock time of another moment of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn at(self, monotonic_ns: u64) -> SystemTime {
        let nanos = Duration::from_nanos;
        if monotonic_ns <= self.monotonic_ns {
            self.time - nanos(self.monotonic_ns - monotonic_ns)
        } else {
            self.time + nanos(monotonic_ns - self.monotonic_ns)
        }
    }
}

/// The transition in a record that was read at `now`; `None` if the record is not valid.
pub fn transition(
    record: &TransitionRecord,
    now: Moment,
    processes: &mut Processes,
) -> Option<SeenTransition> {
    let or_before = record.flags & TransitionRecord::OR_BEFORE != 0;
    Some(SeenTransition {
        time: now.at(record.time_ns),
        monotonic_ns: record.time_ns,
        from: TcpState::from_number(record.from)?,
        to: TcpState::from_number(record.to)?,
        ending: record.ending(),
        since: match record.socket.since_ns {
            ns if or_before => Some(Since::AtLatest(ns)),
            0 => None,
            ns => Some(Since::Exact(ns)),
        },
        socket: identity(&record.socket, record.protocol)?,
        from_listener: record.socket.flags & WatchedSocket::FROM_LISTENER != 0,
        owner: processes.owner(&record.owner),
        unaccepted: record.flags & TransitionRecord::UNACCEPTED != 0,
        caller: processes.caller(record.caller_pid, record.caller_tid, record.caller_comm),
    })
}

/// Which socket it is; `None` for a family that TCP does not run on.
fn identity(raw: &WatchedSocket, protocol: u16) -> Option<Identity> {
    let family = socket::family(raw.family)?;
    Some(Identity {
        protocol: if protocol == IPPROTO_MPTCP {
            Protocol::Mptcp
        } else {
            Protocol::Tcp
        },
        family,
        local: socket::endpoint(family, raw.local, raw.local_port),
        remote: socket::endpoint(family, raw.remote, raw.remote_port),
        netns: nonzero(raw.netns),
        cookie: nonzero(raw.cookie),
        role: Role::Unknown,
    })
}

/// The table's entry in the model's types; `None` if the socket cannot be identified,
/// or is not shown by itself.
pub fn entry(raw: &TrackedSocket, processes: &mut Processes) -> Option<TableEntry> {
    if raw.flags & TrackedSocket::SUBFLOW != 0 {
        return None;
    }
    let owner = raw.owner();
    Some(TableEntry {
        entered: socket::entered(&raw.socket)?,
        state: TcpState::from_number(u8::try_from(raw.state).ok()?)?,
        was_before: raw.flags & TrackedSocket::BEFORE != 0,
        residue_of: raw.residue_of(),
        owner: processes.owner(owner),
        is_wanted: owner.wanted != 0,
    })
}

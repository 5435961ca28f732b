//! Converts the kernel side's records to the model's types.

use std::time::{Duration, SystemTime};

use tcptrace_common::{
    IPPROTO_MPTCP, TcpState, TrackedSocket, TransitionRecord, UsedTransitionRecord, WatchedSocket,
};

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

/// Bytes of the two kinds of records.
const SHORT: usize = size_of::<TransitionRecord>();
const LONG: usize = size_of::<UsedTransitionRecord>();

/// A record as it is in memory; `None` for one of another size, which the programs do not write.
pub fn parse(item: &[u8]) -> Option<UsedTransitionRecord> {
    let mut record = UsedTransitionRecord::default();
    match item.len() {
        SHORT => {
            // SAFETY: as many bytes as the record has, of integers without padding, at any alignment.
            record.transition =
                unsafe { item.as_ptr().cast::<TransitionRecord>().read_unaligned() };
        }
        LONG => {
            // SAFETY: as above.
            record = unsafe {
                item.as_ptr()
                    .cast::<UsedTransitionRecord>()
                    .read_unaligned()
            };
        }
        _ => return None,
    }
    Some(record)
}

/// The transition in a record that was read at `now`, with the socket's user; `None` if the record is not valid.
pub fn transition(
    record: &UsedTransitionRecord,
    now: Moment,
    processes: &mut Processes,
) -> Option<SeenTransition> {
    let UsedTransitionRecord {
        transition: record,
        user,
    } = record;
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
        opener: processes.owner(&record.owner),
        user: processes.owner(user),
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
/// or is not shown by itself. `last_pass`: the number of the last complete pass over descriptors.
pub fn entry(raw: &TrackedSocket, last_pass: u32, processes: &mut Processes) -> Option<TableEntry> {
    if raw.flags & TrackedSocket::SUBFLOW != 0 {
        return None;
    }
    let (owner, user) = (raw.owner(), raw.user(last_pass));
    Some(TableEntry {
        entered: socket::entered(&raw.socket)?,
        state: TcpState::from_number(u8::try_from(raw.state).ok()?)?,
        was_before: raw.flags & TrackedSocket::BEFORE != 0,
        residue_of: raw.residue_of(),
        opener: processes.owner(owner),
        user: user.and_then(|user| processes.owner(user)),
        is_wanted: owner.wanted != 0 || user.is_some_and(|user| user.wanted != 0),
    })
}

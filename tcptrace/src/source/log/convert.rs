//! From the kernel side's records to the model's.

use std::time::{Duration, SystemTime};

use tcptrace_common::{IPPROTO_MPTCP, OwnerRecord, TcpState, TransitionRecord, WatchedSocket};

use super::{
    super::{clock::monotonic_ns, watched},
    before::Before,
    names::{Names, some},
};
use crate::model::{
    socket::Role,
    transition::{Identity, Protocol, Spent, Transition},
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

/// What converting takes beside the record.
#[derive(Debug, Default)]
pub struct Converter {
    /// Sockets from before the start.
    pub before: Before,
    /// Processes.
    pub names: Names,
    /// The kernel skipped a transition before this moment (ns of `CLOCK_MONOTONIC`): when a socket
    /// entered its state is not certain where that was earlier.
    pub in_doubt_before_ns: u64,
}

impl Converter {
    /// The transition that a record tells of; `None` where it makes no sense.
    pub fn transition(&mut self, record: &TransitionRecord, now: Moment) -> Option<Transition> {
        let from = TcpState::from_number(record.from)?;
        let to = TcpState::from_number(record.to)?;
        let owner = self.names.owner(&record.owner).or_else(|| {
            let waits = record.flags & TransitionRecord::UNACCEPTED != 0;
            let earlier = self.before.get(record.socket.cookie).filter(|_| waits)?;
            earlier.waits_at.clone()
        });
        let caller = (self.names).caller(record.caller_pid, record.caller_tid, record.caller_comm);
        let duration = self.duration(record);
        if to == TcpState::Close {
            self.before.forget(record.socket.cookie);
        }
        Some(Transition {
            time: now.at(record.time_ns),
            monotonic_ns: record.time_ns,
            from,
            to,
            duration,
            socket: identity(&record.socket, record.protocol, &record.owner, from, to)?,
            owner,
            caller,
        })
    }

    fn duration(&self, record: &TransitionRecord) -> Spent {
        let since_ns = record.socket.since_ns;
        let lasted = |since_ns: u64| record.time_ns.saturating_sub(since_ns);
        let earlier = || self.before.at_latest_ns(record.socket.cookie, record.from);
        if record.flags & TransitionRecord::OR_BEFORE != 0 {
            let bound = earlier().map_or(since_ns, |bound| bound.min(since_ns));
            return Spent::AtLeast(lasted(bound));
        }
        match since_ns {
            0 => earlier().map_or(Spent::Unknown, |bound| Spent::AtLeast(lasted(bound))),
            since_ns if since_ns < self.in_doubt_before_ns => Spent::Unknown,
            since_ns => Spent::Exact(lasted(since_ns)),
        }
    }
}

/// Which socket it is; `None` for a family that TCP does not run on.
pub fn identity(
    socket: &WatchedSocket,
    protocol: u16,
    owner: &OwnerRecord,
    from: TcpState,
    to: TcpState,
) -> Option<Identity> {
    let family = watched::family(socket)?;
    let role = match owner.known_by {
        OwnerRecord::CONNECT => Role::Client,
        OwnerRecord::ACCEPT | OwnerRecord::LISTEN | OwnerRecord::LISTENER => Role::Server,
        _ if from == TcpState::Listen || to == TcpState::Listen => Role::Server,
        _ if from == TcpState::SynSent || to == TcpState::SynSent => Role::Client,
        _ if socket.flags & WatchedSocket::FROM_LISTENER != 0 => Role::Server,
        // A listener may have been told to have no backlog.
        _ => Role::Unknown,
    };
    Some(Identity {
        protocol: if protocol == IPPROTO_MPTCP {
            Protocol::Mptcp
        } else {
            Protocol::Tcp
        },
        family,
        local: watched::endpoint(family, socket.local, socket.local_port),
        remote: watched::endpoint(family, socket.remote, socket.remote_port),
        netns: some(socket.netns),
        cookie: some(socket.cookie),
        role,
    })
}

//! Sockets that were there before: since when at the latest, and where those wait that nobody has
//! accepted.

use std::collections::HashMap;

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::{role::listener_of, since::at_latest_ns},
    model::{
        owner::{KnownBy, Owner, Process},
        stuck::look::Listed,
        track::BeforeStart,
    },
};

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The state that it was in.
    pub state: TcpState,
    /// The latest moment at which it can have entered it, in ns of `CLOCK_MONOTONIC`.
    pub at_latest_ns: u64,
    /// Who listens where it waits, if nobody has accepted it.
    pub waits_at: Option<Owner>,
}

/// By cookie.
#[derive(Debug, Default)]
pub struct Before(HashMap<u64, Earlier>);

impl Before {
    /// From what was listed when the kernel side had been attached.
    #[must_use]
    pub fn new(facts: &BeforeStart) -> Self {
        let earlier = |socket: &Listed| {
            let earlier = Earlier {
                state: socket.state,
                at_latest_ns: at_latest_ns(socket),
                waits_at: waits_at(facts, socket),
            };
            (socket.cookie, earlier)
        };
        Self(facts.listed.iter().map(earlier).collect())
    }

    /// What is known of the socket with this cookie.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Earlier> {
        // Mostly there is nothing to look up.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&cookie)
    }

    /// The latest moment at which the socket can have entered that state, if it was in it then.
    #[must_use]
    pub fn at_latest_ns(&self, cookie: u64, state: TcpState) -> Option<u64> {
        let earlier = self.get(cookie).filter(|earlier| earlier.state == state);
        earlier.map(|earlier| earlier.at_latest_ns)
    }

    /// Forgets a socket: from its first transition on it is followed.
    pub fn forget(&mut self, cookie: u64) {
        if !self.0.is_empty() {
            self.0.remove(&cookie);
        }
    }
}

/// Who listens where a socket waits that nobody has accepted.
fn waits_at(facts: &BeforeStart, socket: &Listed) -> Option<Owner> {
    let descriptors = facts.descriptors.as_ref()?;
    if socket.details.inode != 0 {
        return None;
    }
    let listener = listener_of(&facts.listening, socket.netns, socket.local)?;
    let holder = &descriptors.of(listener.inode).first()?.holder;
    Some(Owner {
        process: Process {
            pid: holder.pid,
            tid: None,
            comm: holder.comm.as_str().into(),
            started_ns: None,
        },
        known_by: KnownBy::Listener,
        cgroup: None,
    })
}

//! Sockets that were in their state before anybody saw them enter it: since when at the latest, and
//! where those wait that nobody has accepted.

use std::collections::{HashMap, HashSet, hash_map::Entry};

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
    /// As it was listed last.
    pub listed: Listed,
    /// The latest moment at which it can have entered its state, in ns of `CLOCK_MONOTONIC`: the
    /// earliest that any listing gave.
    pub at_latest_ns: u64,
    /// Who listens where it waits, if nobody has accepted it. Few have one, hence the box.
    pub waits_at: Option<Box<Owner>>,
}

/// By cookie.
#[derive(Debug, Default)]
pub struct Before(HashMap<u64, Earlier>);

impl Before {
    /// From what was listed when the kernel side had been attached.
    #[must_use]
    pub fn start(facts: BeforeStart) -> Self {
        let mut before = Self::default();
        let waiting: Vec<_> = (facts.listed.iter())
            .map(|socket| waits_at(&facts, socket))
            .collect();
        for (socket, waits_at) in facts.listed.into_iter().zip(waiting) {
            let cookie = socket.cookie;
            before.list(socket);
            if let Some(earlier) = before.0.get_mut(&cookie) {
                earlier.waits_at = waits_at.map(Box::new);
            }
        }
        before
    }

    /// Takes in that a socket was listed; whether it was not known. Traffic on a socket makes its
    /// bound worse, so the best one is kept.
    pub fn list(&mut self, listed: Listed) -> bool {
        let bound = at_latest_ns(&listed);
        match self.0.entry(listed.cookie) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.at_latest_ns = known.at_latest_ns.min(bound);
                known.listed = listed;
                false
            }
            Entry::Vacant(place) => {
                place.insert(Earlier {
                    listed,
                    at_latest_ns: bound,
                    waits_at: None,
                });
                true
            }
        }
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
        let earlier = self.get(cookie)?;
        (earlier.listed.state == state).then_some(earlier.at_latest_ns)
    }

    /// The sockets as they were listed last.
    pub fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.0.values().map(|earlier| &earlier.listed)
    }

    /// Forgets a socket: from its first transition on it is followed.
    pub fn forget(&mut self, cookie: u64) {
        if !self.0.is_empty() {
            self.0.remove(&cookie);
        }
    }

    /// Forgets all but these; how many those were.
    pub fn keep_only(&mut self, cookies: &HashSet<u64>) -> usize {
        let before = self.0.len();
        self.0.retain(|cookie, _| cookies.contains(cookie));
        before - self.0.len()
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

//! Sockets that entered their state unseen: the latest moment at which they can have entered it,
//! and the listener at which those wait that no process has accepted.

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

/// What is known about one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its last listing.
    pub listed: Listed,
    /// The latest moment at which it can have entered its state, in ns of `CLOCK_MONOTONIC`: the
    /// earliest one from all listings.
    pub at_latest_ns: u64,
    /// The listener at which it waits, if no process has accepted it. Few sockets have one, so it
    /// is boxed.
    pub waits_at: Option<Box<Owner>>,
}

/// By cookie.
#[derive(Debug, Default)]
pub struct Before(HashMap<u64, Earlier>);

impl Before {
    /// From the listing after the kernel side was attached.
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

    /// Adds a listed socket; returns whether it is new. Traffic on a socket makes its bound worse,
    /// so the best bound is kept.
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

    /// What is known about the socket with this cookie.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Earlier> {
        // Usually there is nothing to look up.
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

    /// Forgets a socket: from its first transition on, the kernel side follows it.
    pub fn forget(&mut self, cookie: u64) {
        if !self.0.is_empty() {
            self.0.remove(&cookie);
        }
    }

    /// Forgets all but these; returns how many it forgot.
    pub fn keep_only(&mut self, cookies: &HashSet<u64>) -> usize {
        let before = self.0.len();
        self.0.retain(|cookie, _| cookies.contains(cookie));
        before - self.0.len()
    }
}

/// The listener at which a socket waits that no process has accepted.
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

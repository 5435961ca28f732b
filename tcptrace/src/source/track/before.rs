//! Sockets that were there before: since when at the latest, and where those wait that nobody has
//! accepted.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use crate::{
    diagnosis::stuck::{role::listener_of, tracker::sort_held},
    model::{
        stuck::look::{Listed, Listening},
        transition::{KnownBy, Owner, Process},
    },
    source::{
        diag::ask::{self, Scope},
        machine::netns,
        track::kernel_side::KernelSide,
        walk::iterator::Found,
    },
};

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The state that it was in.
    pub state: u8,
    /// The latest moment at which it can have entered it, in ns of `CLOCK_MONOTONIC`.
    pub at_latest_ns: u64,
    /// Who listens where it waits, if nobody has accepted it.
    pub waits_at: Option<Owner>,
}

/// By cookie.
#[derive(Debug, Default)]
pub struct Before(HashMap<u64, Earlier>);

impl Before {
    /// Lists what is there now, after the kernel side is attached; this gives every socket a
    /// cookie, too, which programs may only read.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn list(
        scope: &Scope,
        notes: &mut Vec<String>,
    ) -> io::Result<(Self, Vec<Listed>, Vec<Listening>)> {
        let namespaces = netns::list()?;
        let answers = ask::everything(scope, &namespaces);
        notes.extend(answers.notes);
        let earlier = |socket: &Listed| {
            let earlier = Earlier {
                state: socket.state,
                at_latest_ns: socket.at_latest_ns,
                waits_at: None,
            };
            (socket.cookie, earlier)
        };
        let before = Self(answers.listed.iter().map(earlier).collect());
        Ok((before, answers.listed, answers.listening))
    }

    /// Finds out who listens where the sockets that nobody has accepted wait.
    pub fn find_listeners(
        &mut self,
        side: &mut KernelSide,
        listed: &[Listed],
        listening: &[Listening],
    ) {
        let waiting: Vec<_> = listed
            .iter()
            .filter(|socket| socket.details.inode == 0)
            .filter_map(|socket| {
                let listener = listener_of(listening, socket.netns, socket.local)?;
                Some((socket.cookie, u64::from(listener.inode)))
            })
            .collect();
        if waiting.is_empty() {
            return;
        }
        let inodes: HashSet<u64> = waiting.iter().map(|(_, inode)| *inode).collect();
        // Unknown is what they stay otherwise.
        let Ok(Found { mut held, .. }) = side.holders(&inodes, false) else {
            return;
        };
        sort_held(&mut held);
        for (cookie, inode) in waiting {
            let holder = held.iter().find(|held| held.inode == inode);
            let (Some(earlier), Some(held)) = (self.0.get_mut(&cookie), holder) else {
                continue;
            };
            earlier.waits_at = Some(Owner {
                process: Process {
                    pid: held.holder.pid,
                    tid: None,
                    comm: held.holder.comm.as_str().into(),
                    started_ns: None,
                },
                known_by: KnownBy::Listener,
                cgroup: None,
            });
        }
    }

    /// What is known of the socket with this cookie.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Earlier> {
        // Nothing to look up is the rule.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&cookie)
    }

    /// The latest moment at which the socket can have entered that state, if it was in it then.
    #[must_use]
    pub fn at_latest_ns(&self, cookie: u64, state: u8) -> Option<u64> {
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

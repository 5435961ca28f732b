//! Sockets that entered their state unseen: the latest moment at which they can have entered it,
//! and the listener at which those wait that no process has accepted.

use std::collections::{HashMap, hash_map::Entry};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::stuck::{listener::Listeners, since::entered},
    model::{
        owner::{KnownBy, Owner, Process, only_process},
        socket::{Endpoint, Identity, Socket},
        stuck::look::{Listed, Span},
        track::BeforeStart,
    },
};

/// What is known about one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The state that it was in at its last listing.
    pub state: TcpState,
    /// When it entered its state: the narrowest bounds from all listings.
    pub entered: Span,
    /// The listener at which it waits, if no process has accepted it. Few sockets have one, so it
    /// is boxed.
    pub waits_at: Option<Box<Owner>>,
    /// The number of the look that listed it last.
    look: u64,
}

/// A socket without a cookie: namespace, ends and inode.
pub type Place = (u32, Endpoint, Endpoint, u32);

/// Where it is.
pub fn place(listed: &Listed) -> Place {
    (
        listed.netns,
        listed.local,
        listed.remote,
        listed.details.inode,
    )
}

/// Such sockets.
#[derive(Debug, Default)]
pub struct Before {
    by_cookie: HashMap<u64, Earlier>,
    /// Those that nothing has asked for a cookie yet.
    by_place: HashMap<Place, Earlier>,
    look: u64,
}

impl Before {
    /// From the listing after the kernel side was attached.
    #[must_use]
    pub fn start(facts: BeforeStart) -> Self {
        let mut before = Self::default();
        let waiting: Vec<_> = waits_at(&facts);
        for (socket, waits_at) in facts.listed.into_iter().zip(waiting) {
            before.list(&socket);
            let listed = match socket.cookie {
                Some(cookie) => before.by_cookie.get_mut(&cookie),
                None => before.by_place.get_mut(&place(&socket)),
            };
            if let Some(earlier) = listed {
                earlier.waits_at = waits_at.map(Box::new);
            }
        }
        before
    }

    /// Adds a listed socket; returns when it entered its state, and whether it is new. Traffic on a
    /// socket makes its bounds worse, so the best ones are kept.
    pub fn list(&mut self, listed: &Listed) -> (Span, bool) {
        let mut new = Earlier {
            entered: entered(listed),
            waits_at: None,
            look: self.look,
            state: listed.state,
        };
        let Some(cookie) = listed.cookie else {
            return keep(self.by_place.entry(place(listed)), new);
        };
        // It may have had no cookie the last time.
        let nameless = match self.by_place.is_empty() {
            true => None,
            false => self.by_place.remove(&place(listed)),
        };
        match nameless {
            Some(earlier) => {
                new.entered = narrower(new.entered, earlier.entered);
                let entered = new.entered;
                self.by_cookie.insert(cookie, new);
                (entered, false)
            }
            None => keep(self.by_cookie.entry(cookie), new),
        }
    }

    /// Whether a socket is known from an earlier look.
    #[must_use]
    pub fn knows(&self, listed: &Listed) -> bool {
        let by_cookie = |cookie| self.by_cookie.contains_key(&cookie);
        listed.cookie.is_some_and(by_cookie) || self.by_place.contains_key(&place(listed))
    }

    /// What is known about the socket with this cookie.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Earlier> {
        // Usually there is nothing to look up.
        if self.by_cookie.is_empty() {
            return None;
        }
        self.by_cookie.get(&cookie)
    }

    /// What is known about a listed socket.
    #[must_use]
    pub fn of(&self, socket: &Socket) -> Option<&Earlier> {
        let Identity {
            cookie,
            netns,
            local,
            remote,
            ..
        } = socket.identity;
        if cookie.is_some() {
            return self.get(cookie?);
        }
        let inode = socket.details.as_ref()?.inode;
        self.by_place.get(&(netns?, local, remote, inode))
    }

    /// The latest moment at which the socket can have entered that state, if it was in it then.
    #[must_use]
    pub fn at_latest_ns(&self, cookie: u64, state: TcpState) -> Option<u64> {
        let earlier = self.get(cookie)?;
        (earlier.state == state).then_some(earlier.entered.latest_ns)
    }

    /// Forgets a socket: from its first transition on, the kernel side follows it.
    pub fn forget(&mut self, cookie: u64) {
        if !self.by_cookie.is_empty() {
            self.by_cookie.remove(&cookie);
        }
    }

    /// Ends a look: forgets the sockets that it did not list; returns how many.
    pub fn end_look(&mut self) -> usize {
        let before = self.by_cookie.len() + self.by_place.len();
        let look = self.look;
        self.by_cookie.retain(|_, earlier| earlier.look == look);
        self.by_place.retain(|_, earlier| earlier.look == look);
        self.look += 1;
        before - self.by_cookie.len() - self.by_place.len()
    }
}

/// What both of the bounds say.
fn narrower(one: Span, other: Span) -> Span {
    Span {
        earliest_ns: one.earliest_ns.max(other.earliest_ns),
        latest_ns: one.latest_ns.min(other.latest_ns),
    }
}

/// Keeps the best bounds of a socket; returns them, and whether the socket is new.
fn keep<K>(known: Entry<'_, K, Earlier>, new: Earlier) -> (Span, bool) {
    match known {
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            let entered = narrower(new.entered, known.entered);
            *known = Earlier {
                entered,
                waits_at: known.waits_at.take(),
                ..new
            };
            (entered, false)
        }
        Entry::Vacant(free) => {
            let entered = new.entered;
            free.insert(new);
            (entered, true)
        }
    }
}

/// The process that listens where each of the sockets waits, if no process has accepted it and only
/// one process can be meant.
fn waits_at(facts: &BeforeStart) -> Vec<Option<Owner>> {
    let listeners = Listeners::new(&facts.listening, &facts.waiting);
    let owner = |socket: &Listed| {
        if socket.details.inode != 0 {
            return None;
        }
        let held = facts.descriptors.as_ref()?;
        let listener = listeners.listener(socket, Some(held), |_| {})?;
        let process = Process::named(only_process(listener.holders.as_deref()?)?);
        Some(Owner {
            process,
            known_by: KnownBy::Listener,
            cgroup: None,
        })
    };
    facts.listed.iter().map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW_NS, SECOND, end, listed};

    /// With its last acknowledgment so many seconds ago; its last data came before.
    fn socket(cookie: Option<u64>, seconds: u64) -> Listed {
        Listed {
            cookie,
            data_not_before_ns: Some(NOW_NS - 90 * SECOND),
            ..listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), seconds)
        }
    }

    #[test]
    fn a_socket_that_is_given_a_cookie_stays_the_same() {
        let mut before = Before::default();
        let (first, new) = before.list(&socket(None, 60));
        assert!(new);
        assert_eq!(before.end_look(), 0);
        assert_eq!(before.list(&socket(Some(7), 3)), (first, false));
        assert_eq!(before.end_look(), 0);
        assert_eq!(before.list(&socket(Some(7), 1)), (first, false));
        assert_eq!(before.end_look(), 0);
        assert_eq!(before.end_look(), 1);
    }

    #[test]
    fn another_socket_at_the_same_place_has_another_inode() {
        let mut before = Before::default();
        before.list(&socket(None, 60));
        before.end_look();
        let mut other = socket(None, 3);
        other.details.inode += 1;
        assert!(before.list(&other).1);
        assert_eq!(before.end_look(), 1);
    }
}

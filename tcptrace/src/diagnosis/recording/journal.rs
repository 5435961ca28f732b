//! From the records of a log to the sockets that were in a state when it ended.
//!
//! Only sockets in that state are kept: what leads into it says when. A record that is missing may
//! be the one with which a socket left it, so that a loss puts in doubt whatever was heard of
//! before. The rule is a moment: who was last heard of before it is in doubt, and a later record
//! about the socket takes it out again. Records count by their time and not by their place in the
//! log, as a loss may be told before transitions that were seen before it.

use std::{collections::HashMap, time::SystemTime};

use tcptrace_common::TcpState;

use crate::{
    diagnosis::recording::{
        departed::{Departed, REORDERING_NS},
        recorded::{Facts, Recorded},
        socket_key::SocketKey,
    },
    model::{
        recording::RecordingHeader,
        socket::{Role, Since, Socket},
        transition::{Loss, Record, StillOpen, Transition},
    },
};

/// A moment in ns, and among records of one moment the place in the log.
type Mark = (u64, u64);

/// What was listed at a moment comes after every transition of it.
const LISTED: u64 = u64::MAX;

#[derive(Debug)]
struct Entry {
    socket: Socket,
    /// When it was last heard of.
    heard: Mark,
    /// It was told so late that its end may have been told before.
    late: bool,
}

/// What a log says of the sockets in one state.
#[derive(Debug)]
pub struct Journal {
    state: TcpState,
    sockets: HashMap<SocketKey, Entry>,
    departed: Departed,
    end: Option<(u64, SystemTime)>,
    /// Who was last heard of before this is in doubt.
    doubted: Mark,
    /// The moment of the listing with which the log ends, if it has come to that.
    listing: Option<u64>,
    /// Whether that is about the state asked about: it is whole, and who is not in it has left.
    listed: bool,
    damaged: bool,
    records: u64,
    facts: Facts,
}

impl Journal {
    /// A journal of sockets in `state`.
    #[must_use]
    pub fn new(state: TcpState) -> Self {
        Self {
            state,
            sockets: HashMap::new(),
            departed: Departed::default(),
            end: None,
            doubted: (0, 0),
            listing: None,
            listed: false,
            damaged: false,
            records: 0,
            facts: Facts::default(),
        }
    }

    /// Takes note that another log begins. Where it comes after what was read, nobody knows what
    /// happened in between.
    pub fn header(&mut self, header: &RecordingHeader) {
        self.facts.origin.header(header);
        let begin_ns = header.monotonic_ns;
        if self.end.is_some_and(|(end_ns, _)| end_ns < begin_ns) {
            (self.listing, self.listed) = (None, false);
            self.doubt((begin_ns, LISTED));
        }
    }

    /// Takes the next record in.
    pub fn add(&mut self, record: Record) {
        self.records += 1;
        self.facts.origin.record();
        match record {
            Record::Transition(seen) => self.transition(seen),
            Record::StillOpen(open) => self.still_open(open),
            Record::Loss(loss) => self.loss(&loss),
        }
    }

    /// Takes note that something in this place cannot be read. Behind the last record it does not
    /// matter: the log then ends with that one.
    pub fn damaged(&mut self) {
        self.damaged = true;
    }

    /// How many sockets are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    fn transition(&mut self, seen: Transition) {
        let now_ns = self.advance(seen.monotonic_ns, seen.time);
        let mark = (seen.monotonic_ns, self.records);
        if self.listing.is_some_and(|end| end < seen.monotonic_ns) {
            // Another log begins, and nobody knows what happened in between.
            (self.listing, self.listed) = (None, false);
            self.doubt(mark);
        }
        self.settle(now_ns);
        self.facts.count(self.state, seen.from, seen.to);
        let Some(key) = SocketKey::of(&seen.socket) else {
            self.facts.unidentified += u64::from(seen.to == self.state);
            return;
        };
        let before = self.sockets.get(&key);
        if before.is_some_and(|before| mark < before.heard) || self.departed.after(&key, mark.0) {
            return; // what came after it is known already
        }
        let elsewhere = before.is_some_and(|before| {
            seen.from != self.state && before.heard.0 != mark.0 && !self.in_doubt(before)
        });
        self.facts.contradictions += u64::from(elsewhere);
        if seen.to == self.state {
            let since = Since::Exact(mark.0);
            let entry = Entry {
                socket: Socket::logged(seen.socket, seen.to, since, seen.owner),
                heard: mark,
                late: now_ns - mark.0 > REORDERING_NS,
            };
            self.sockets.insert(key, entry);
        } else {
            self.sockets.remove(&key);
            self.departed.add(key, mark.0, now_ns);
        }
    }

    fn still_open(&mut self, open: StillOpen) {
        let now_ns = self.advance(open.monotonic_ns, open.time);
        let listing = *self.listing.get_or_insert(open.monotonic_ns);
        if open.monotonic_ns.saturating_sub(listing) > REORDERING_NS {
            // Another log ends; it had no transition to tell.
            (self.listing, self.listed) = (Some(open.monotonic_ns), false);
            self.doubt((open.monotonic_ns, 0));
        }
        self.listed |= open.socket.state == self.state;
        self.settle(now_ns);
        let Some(key) = SocketKey::of(&open.socket.identity) else {
            return;
        };
        let heard = (open.monotonic_ns, LISTED);
        let known: Vec<SocketKey> = SocketKey::earlier(&open.socket.identity).collect();
        let newer = |entry: &Entry| heard < entry.heard;
        if known.iter().any(|key| {
            self.sockets.get(key).is_some_and(newer) || self.departed.after(key, heard.0)
        }) {
            return;
        }
        let before = known.iter().filter_map(|key| self.sockets.remove(key));
        let before = before.reduce(|first, _| first);
        if open.socket.state != self.state {
            self.departed.add(key, heard.0, now_ns);
            return;
        }
        let sure = before.as_ref().filter(|entry| !self.in_doubt(entry));
        let mut socket = open.socket;
        socket.since = best(socket.since, sure.map(|entry| entry.socket.since));
        if let Some(Entry { socket: before, .. }) = before {
            if socket.logged_owner().is_none() {
                socket.set_owner(before.logged_owner().cloned());
            }
            if socket.identity.role == Role::Unknown {
                socket.identity.role = before.identity.role;
            }
        }
        let late = now_ns - heard.0 > REORDERING_NS;
        let entry = Entry {
            socket,
            heard,
            late,
        };
        self.sockets.insert(key, entry);
    }

    fn loss(&mut self, loss: &Loss) {
        let counts = [loss.transitions, loss.sockets, loss.runs];
        for (sum, count) in self.facts.lost.iter_mut().zip(counts) {
            *sum = sum.saturating_add(count);
        }
        let end_ns = match (self.listing, self.end) {
            (Some(_), Some((end_ns, _))) => end_ns,
            _ => self.advance(loss.monotonic_ns, loss.time),
        };
        self.settle(end_ns);
        // What the listing at the end says stands.
        let until = self.listing.unwrap_or(loss.monotonic_ns);
        self.doubt((until.min(loss.monotonic_ns), LISTED));
    }

    /// Brings the log's end forward, and returns it. Sees that the machine was started anew by the
    /// clock that then starts anew while the other one does not.
    fn advance(&mut self, now_ns: u64, time: SystemTime) -> u64 {
        match self.end {
            Some((end_ns, _)) if now_ns >= end_ns => self.end = Some((now_ns, time)),
            Some((end_ns, end)) if end_ns - now_ns > REORDERING_NS && time > end => {
                self.sockets.clear();
                self.departed = Departed::default();
                self.doubted = (0, 0);
                (self.listing, self.listed) = (None, false);
                self.facts.restarts += 1;
                self.end = Some((now_ns, time));
            }
            Some((end_ns, _)) => return end_ns,
            None => self.end = Some((now_ns, time)),
        }
        now_ns
    }

    /// What was damaged lies before the record that is being taken in.
    fn settle(&mut self, now_ns: u64) {
        if std::mem::take(&mut self.damaged) {
            let until = self.listing.map_or(now_ns, |listing| listing.min(now_ns));
            self.doubt((until, self.records));
        }
    }

    fn doubt(&mut self, until: Mark) {
        self.doubted = self.doubted.max(until);
    }

    fn in_doubt(&self, entry: &Entry) -> bool {
        entry.late || entry.heard < self.doubted
    }

    /// The log has ended.
    #[must_use]
    pub fn finish(mut self) -> Recorded {
        if let (Some(listing), true) = (self.listing, self.listed) {
            // A socket that was not listed may have left after the last transition was taken in.
            self.doubt((listing, 0));
        }
        let entries = std::mem::take(&mut self.sockets);
        let (doubtful, sure): (Vec<_>, Vec<_>) =
            (entries.into_values()).partition(|entry| self.in_doubt(entry));
        let sockets = |entries: Vec<Entry>| -> Vec<Socket> {
            entries.into_iter().map(|entry| entry.socket).collect()
        };
        Recorded {
            state: self.state,
            end: self.end,
            sockets: sockets(sure),
            doubtful: sockets(doubtful),
            facts: self.facts,
        }
    }
}

/// The better of what a listing tells and of what was seen before. Where they contradict each
/// other, the lesser age is claimed.
fn best(listed: Since, seen: Option<Since>) -> Since {
    match (listed, seen) {
        (Since::AtLatest(listed), Some(Since::Exact(seen))) if seen <= listed => Since::Exact(seen),
        (Since::AtLatest(listed), Some(Since::Exact(seen))) => Since::AtLatest(listed.max(seen)),
        (Since::AtLatest(listed), Some(Since::AtLatest(seen))) => Since::AtLatest(listed.min(seen)),
        _ => listed,
    }
}

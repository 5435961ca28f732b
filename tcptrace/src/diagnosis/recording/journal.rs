//! From the records of a log to the sockets that were in a state when it ended.
//!
//! Only sockets in that state are kept; the transition into it gives the time. A missing record may
//! be the transition with which a socket left the state, so a loss makes all earlier records
//! uncertain. The rule is a moment: a socket whose last record is before it is uncertain, and a
//! later record about the socket makes it certain again. Records count by their time and not by
//! their position in the log, because a loss may be reported before transitions that were seen
//! earlier.

use std::time::SystemTime;

use tcptrace_common::TcpState;

use crate::{
    diagnosis::recording::{
        departed::{Departed, REORDERING_NS},
        kept::{Kept, ROOM},
        recorded::{Facts, Recorded},
        socket_key::SocketKey,
    },
    model::{
        recording::RecordingHeader,
        socket::{Role, Since, Socket},
        transition::{Loss, Record, StillOpen, Transition},
    },
};

/// A moment in ns, and the position in the log among records of the same moment.
type Mark = (u64, u64);

/// The sockets listed at a moment come after all transitions of that moment.
const LISTED: u64 = u64::MAX;

/// What is known of a socket besides.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The moment of its last record.
    heard: Mark,
    /// Its record came so late that its end may have been recorded before.
    late: bool,
}

/// The sockets in one state according to a log.
#[derive(Debug)]
pub struct Journal {
    state: TcpState,
    sockets: Kept<Entry>,
    /// Sockets for which there was no room: of those that were seen to enter, and of those in the listing.
    unkept: [u64; 2],
    departed: Departed,
    end: Option<(u64, SystemTime)>,
    /// Sockets whose last record is before this are uncertain.
    doubted: Mark,
    /// The moment of the listing at the end of the log, if it has been reached.
    listing: Option<u64>,
    /// Whether the listing covers the requested state: then it is complete, and a socket that is
    /// not in it has left.
    listed: bool,
    damaged: bool,
    records: u64,
    facts: Facts,
}

impl Journal {
    /// A journal of sockets in `state`.
    #[must_use]
    pub fn new(state: TcpState) -> Self {
        Self::with_room(state, ROOM)
    }

    /// The same; the sockets may take about so many bytes.
    #[must_use]
    pub fn with_room(state: TcpState, room: usize) -> Self {
        Self {
            state,
            sockets: Kept::new(room),
            unkept: [0; 2],
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

    /// Records that another log begins. If it begins after the records so far, what happened in
    /// between is unknown.
    pub fn header(&mut self, header: &RecordingHeader) {
        self.facts.origin.header(header);
        let begin_ns = header.monotonic_ns;
        if self.end.is_some_and(|(end_ns, _)| end_ns < begin_ns) {
            (self.listing, self.listed) = (None, false);
            self.doubt((begin_ns, LISTED));
        }
    }

    /// Adds the next record.
    pub fn add(&mut self, record: Record) {
        self.records += 1;
        self.facts.origin.record();
        match record {
            Record::Transition(seen) => self.transition(seen),
            Record::StillOpen(open) => self.still_open(open),
            Record::Loss(loss) => self.loss(&loss),
        }
    }

    /// Records that something at this position cannot be read. After the last record it does not
    /// matter: the log then ends with that record.
    pub fn damaged(&mut self) {
        self.damaged = true;
    }

    /// How many sockets are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether no socket is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.len() == 0
    }

    fn transition(&mut self, seen: Transition) {
        let now_ns = self.advance(seen.monotonic_ns, seen.time);
        let mark = (seen.monotonic_ns, self.records);
        if self.listing.is_some_and(|end| end < seen.monotonic_ns) {
            // Another log begins, and what happened in between is unknown.
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
            return; // a later record is already known
        }
        let elsewhere = before.is_some_and(|before| {
            seen.from != self.state && before.heard.0 != mark.0 && !self.in_doubt(before)
        });
        self.facts.contradictions += u64::from(elsewhere);
        if seen.to == self.state {
            let since = Since::Exact(mark.0);
            let socket = Socket {
                user: seen.user,
                ..Socket::logged(seen.socket, seen.to, since, seen.opener)
            };
            let entry = Entry {
                heard: mark,
                late: now_ns - mark.0 > REORDERING_NS || self.departed.may_be_after(mark.0),
            };
            let kept = self.sockets.insert(key, socket, entry);
            self.unkept[0] += u64::from(!kept);
        } else {
            self.sockets.remove(&key);
            self.departed.add(key, mark.0, now_ns);
        }
    }

    fn still_open(&mut self, open: StillOpen) {
        let now_ns = self.advance(open.monotonic_ns, open.time);
        let listing = *self.listing.get_or_insert(open.monotonic_ns);
        if open.monotonic_ns.saturating_sub(listing) > REORDERING_NS {
            // Another log ends; it had no transition.
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
        let sure = (before.as_ref()).filter(|(_, entry)| !self.in_doubt(entry));
        let mut socket = open.socket;
        socket.since = best(socket.since, sure.map(|(socket, _)| socket.since));
        if let Some((before, _)) = before {
            if socket.logged_owner().is_none() {
                socket.set_owner(before.logged_owner().cloned());
            }
            if socket.identity.role == Role::Unknown {
                socket.identity.role = before.identity.role;
            }
        }
        let late = now_ns - heard.0 > REORDERING_NS || self.departed.may_be_after(heard.0);
        let kept = (self.sockets).insert(key, socket, Entry { heard, late });
        self.unkept[1] += u64::from(!kept);
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
        // The listing at the end has the final say.
        let until = self.listing.unwrap_or(loss.monotonic_ns);
        self.doubt((until.min(loss.monotonic_ns), LISTED));
    }

    /// Moves the log's end forward, and returns it. Detects a reboot: the monotonic clock restarts,
    /// the wall clock does not.
    fn advance(&mut self, now_ns: u64, time: SystemTime) -> u64 {
        match self.end {
            Some((end_ns, _)) if now_ns >= end_ns => self.end = Some((now_ns, time)),
            Some((end_ns, end)) if end_ns - now_ns > REORDERING_NS && time > end => {
                drop(self.sockets.take());
                self.unkept = [0; 2];
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

    /// The damage is before the record that is being added.
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
            // A socket that was not listed may have left after the last transition was recorded.
            self.doubt((listing, 0));
            self.unkept[0] = 0;
        }
        self.facts.unkept = self.unkept.iter().sum();
        let (mut sockets, mut doubtful) = (Vec::new(), Vec::new());
        for (socket, entry) in self.sockets.take() {
            match self.in_doubt(&entry) {
                true => doubtful.push(*socket),
                false => sockets.push(*socket),
            }
        }
        Recorded {
            state: self.state,
            end: self.end,
            sockets,
            doubtful,
            facts: self.facts,
        }
    }
}

/// The better of a listing and the earlier records. If they contradict each other, the smaller age
/// is used.
fn best(listed: Since, seen: Option<Since>) -> Since {
    match (listed, seen) {
        (Since::AtLatest(listed), Some(Since::Exact(seen))) if seen <= listed => Since::Exact(seen),
        (Since::AtLatest(listed), Some(Since::Exact(seen))) => Since::AtLatest(listed.max(seen)),
        (Since::AtLatest(listed), Some(Since::AtLatest(seen))) => Since::AtLatest(listed.min(seen)),
        _ => listed,
    }
}

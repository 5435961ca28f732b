//! The sockets of a log that are in a state, in bounded memory: a small file may unfold to a recording with any
//! number of them.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use crate::{
    diagnosis::recording::socket_key::SocketKey,
    model::{
        owner::{Holder, Owner},
        socket::Socket,
    },
};

/// About how many bytes the sockets of a recording may take.
pub const ROOM: usize = 128 << 20;

/// Sockets by their keys, with what else is known of them.
#[derive(Debug)]
pub struct Kept<T> {
    sockets: HashMap<SocketKey, (Box<Socket>, T)>,
    /// About how many bytes they take, and how many they may.
    taken: usize,
    room: usize,
}

impl<T> Kept<T> {
    /// None yet; they may take so many bytes.
    pub fn new(room: usize) -> Self {
        Self {
            sockets: HashMap::new(),
            taken: 0,
            room,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// What is known of one.
    pub fn get(&self, key: &SocketKey) -> Option<&T> {
        self.sockets.get(key).map(|(_, known)| known)
    }

    /// Keeps a socket in place of an earlier one with this key; returns whether there is room.
    pub fn insert(&mut self, key: SocketKey, socket: Socket, known: T) -> bool {
        self.remove(&key);
        let bytes = Self::bytes(&socket);
        let fits = self.taken + bytes <= self.room;
        if fits {
            self.taken += bytes;
            self.sockets.insert(key, (Box::new(socket), known));
        }
        fits
    }

    /// Takes one out.
    pub fn remove(&mut self, key: &SocketKey) -> Option<(Socket, T)> {
        let (socket, known) = self.sockets.remove(key)?;
        self.taken -= Self::bytes(&socket);
        Some((*socket, known))
    }

    /// Takes all out.
    pub fn take(&mut self) -> hash_map::IntoValues<SocketKey, (Box<Socket>, T)> {
        self.taken = 0;
        std::mem::take(&mut self.sockets).into_values()
    }

    /// About how many bytes it takes: its place in a table that is half full, itself, and its texts.
    fn bytes(socket: &Socket) -> usize {
        let place = 2 * size_of::<(SocketKey, (Box<Socket>, T))>();
        let text = |text: &Arc<str>| 32 + text.len();
        let owner =
            |owner: &Owner| text(&owner.process.comm) + owner.cgroup.as_ref().map_or(0, text);
        let holder = |one: &Holder| size_of::<Holder>() + text(&one.comm);
        let listener = socket.listener.iter();
        let owners = (socket.opener.iter().chain(&socket.user))
            .chain(listener.clone().filter_map(|one| one.opener.as_ref()));
        let holders = (socket.holders.iter())
            .chain(listener.filter_map(|one| one.holders.as_ref()))
            .flatten();
        place
            + size_of::<Socket>()
            + owners.map(owner).sum::<usize>()
            + holders.map(holder).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState::{CloseWait, Established, LastAck};

    use super::*;
    use crate::{
        diagnosis::recording::{departed::Departed, journal::Journal, recorded::Recorded},
        fixtures::{time, transition},
        model::{
            caveat::Caveat,
            socket::Since,
            transition::{Record, StillOpen, Transition},
        },
    };

    /// Room for about so many sockets of the tests.
    fn room(sockets: usize) -> Journal {
        let seen = entered(1);
        let one = Socket::logged(seen.socket, CloseWait, Since::Exact(1), seen.opener);
        Journal::with_room(CloseWait, sockets * Kept::<(u64, u64, bool)>::bytes(&one))
    }

    fn entered(number: u16) -> Transition {
        transition(number.into(), Established, CloseWait, number.into())
    }

    fn unkept(recorded: &Recorded) -> Option<u64> {
        let caveats = recorded.facts.caveats(CloseWait, true);
        caveats.iter().find_map(|caveat| match caveat {
            Caveat::NotKept {
                count,
                state: CloseWait,
            } => Some(*count),
            _ => None,
        })
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut journal = room(100);
        for number in 1..=1000 {
            journal.add(Record::Transition(entered(number)));
        }
        let recorded = journal.finish();
        let kept = recorded.sockets.len();
        assert!((80..=120).contains(&kept), "{kept}");
        assert_eq!(unkept(&recorded), Some(1000 - kept as u64));
    }

    #[test]
    fn what_leaves_makes_room() {
        let mut journal = room(100);
        for number in 1..=1000 {
            journal.add(Record::Transition(entered(number)));
            let left = transition(number.into(), CloseWait, LastAck, u64::from(number) + 1);
            journal.add(Record::Transition(left));
        }
        journal.add(Record::Transition(entered(1001)));
        let recorded = journal.finish();
        assert_eq!((recorded.sockets.len(), unkept(&recorded)), (1, None));
    }

    #[test]
    fn a_listing_at_the_end_says_who_was_still_there() {
        let mut journal = room(100);
        for number in 1..=1000 {
            journal.add(Record::Transition(entered(number)));
        }
        for number in 1..=20 {
            let seen = entered(number);
            let socket = Socket::logged(seen.socket, CloseWait, Since::Exact(1), seen.opener);
            journal.add(Record::StillOpen(StillOpen {
                time: time(5000),
                monotonic_ns: 5000,
                socket,
                residue_of: None,
            }));
        }
        let recorded = journal.finish();
        assert_eq!((recorded.sockets.len(), unkept(&recorded)), (20, None));
    }

    #[test]
    fn who_left_is_forgotten_in_time_and_then_is_in_doubt() {
        let mut departed = Departed::default();
        for number in 0..1_000_000 {
            departed.add(SocketKey::Cookie(number), 7, 8);
        }
        assert!(!departed.after(&SocketKey::Cookie(1), 5));
        assert!(departed.may_be_after(5) && !departed.may_be_after(7));
        assert!(departed.after(&SocketKey::Cookie(999_999), 5));
        assert!(departed.remembered() < 40_000);
    }
}

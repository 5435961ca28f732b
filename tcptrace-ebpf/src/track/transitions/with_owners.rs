//! Every socket under its owner.

use core::mem::MaybeUninit;

use tcptrace_common::{Owner, Past, TrackedSocket, TransitionRecord, WatchedSocket};

use super::{
    super::{
        owner,
        seen::Seen,
        table::{self, Table, hand_over, known},
    },
    count::{self, Stay},
    record::{Told, tell},
    transition::{
        CLOSE, FIN_WAIT1, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT, Step, complete_port, describe, fits,
    },
};
use crate::{filter, settings::setting};

#[inline(always)]
pub fn changed(table: &Table, seen: &impl Seen, step: &Step) {
    let Step {
        from, to, now_ns, ..
    } = *step;
    let opens = from == CLOSE && (to == SYN_SENT || to == LISTEN);
    let entry = match known(table, seen).or_else(|| table::fresh(table, seen.sock())) {
        Some(entry) => entry,
        None => return unkept(seen, step, opens),
    };
    // So is one that came in, until its next transition, whichever that is.
    let new = entry.socket.family == 0;
    let mut space = MaybeUninit::uninit();
    let mut caller: Option<&Owner> = None;
    if opens {
        let opener = space.write(opener(to));
        hand_over(entry, opener);
        caller = Some(opener);
    } else if called(from, to) && (setting!(hist.states) == 0 || entry.accepted == 0) {
        let closer = space.write(owner::caller(&entry.owners[(entry.accepted & 1) as usize]));
        // Whoever closes a socket that nobody is known to have has it.
        if entry.accepted == 0 && closer.known_by == Owner::FD && owned(entry, seen) != OWNED {
            hand_over(entry, closer);
        }
        caller = Some(closer);
    }
    // Its addresses are known from the second transition on, and forgotten in part at the last.
    if new || opens || from == SYN_RECV {
        let since_ns = entry.socket.since_ns;
        describe(seen, to, !new, &mut entry.socket);
        entry.socket.since_ns = since_ns;
        if entry.held_from == LISTEN {
            entry.socket.flags |= WatchedSocket::FROM_LISTENER;
        }
    } else if from == SYN_SENT {
        seen.describe_ends(&mut entry.socket);
        complete_port(seen, to, true, &mut entry.socket);
    }
    let owned = owned(entry, seen);
    if entry.flags & TrackedSocket::HELD_BACK != 0 {
        entry.flags &= !TrackedSocket::HELD_BACK;
        let held = Telling {
            step: Step {
                now_ns: entry.socket.since_ns,
                from: entry.held_from,
                to: entry.state,
                ..*step
            },
            past: Past {
                since_ns: entry.held_since_ns,
                or_before: false,
            },
            caller: None,
        };
        say(entry, &held, owned);
    }
    let past = entry.step(from, to, now_ns);
    if opens && to == SYN_SENT && filter::port_undecided(&entry.socket) {
        entry.flags |= TrackedSocket::HELD_BACK;
        entry.held_from = from;
        entry.held_since_ns = past.since_ns;
        return;
    }
    let telling = Telling {
        step: *step,
        past,
        caller,
    };
    // Not from within, for both together would take too much of the stack.
    if say(entry, &telling, owned) {
        let stay = Stay {
            state: from,
            ns: now_ns.wrapping_sub(past.since_ns),
            owned: owned == OWNED,
            lane: step.lane,
        };
        count::count(entry, &stay);
    }
}

/// What is to be told of a transition beside the socket.
pub struct Telling<'a> {
    pub step: Step,
    pub past: Past,
    pub caller: Option<&'a Owner>,
}

/// A transition of a socket for which there is no room: what it says by itself.
#[inline(always)]
fn unkept(seen: &impl Seen, step: &Step, opens: bool) {
    let Step { from, to, .. } = *step;
    let owner = if opens { opener(to) } else { Owner::default() };
    let mut socket = WatchedSocket::default();
    describe(seen, to, false, &mut socket);
    let wanted = owner.wanted != 0 || (owner.pid == 0 && owner::unknown_wanted());
    if wanted && fits(from, to, &socket) {
        tell(&Told {
            time_ns: step.now_ns,
            socket: &socket,
            since_ns: 0,
            from: from as u8,
            to: to as u8,
            flags: 0,
            protocol: step.protocol,
            owner: Some(&owner),
            caller: Some(&owner),
        });
    }
}

/// The process that connects or listens.
#[inline(always)]
fn opener(to: u32) -> Owner {
    owner::current(if to == LISTEN {
        Owner::LISTEN
    } else {
        Owner::CONNECT
    })
}

/// Whether a process brings this about by a call on the socket: then the current task is the one
/// that calls; in other transitions it is whoever was running.
#[inline(always)]
fn called(from: u32, to: u32) -> bool {
    to == FIN_WAIT1 || to == LAST_ACK || (from == LISTEN && to == CLOSE)
}

/// Whether the entry's owner holds: not that of the listener once somebody has accepted unseen.
#[inline(always)]
fn owned(entry: &TrackedSocket, seen: &impl Seen) -> u32 {
    let owner = &entry.owners[(entry.accepted & 1) as usize];
    match owner.known_by {
        Owner::UNKNOWN if seen.has_file() => NOBODY,
        Owner::UNKNOWN => UNACCEPTED,
        Owner::LISTENER if setting!(log.sees_accept) != 0 && seen.has_file() => NOBODY,
        _ => OWNED,
    }
}

/// Writes the record, if the filter lets it through; or says that the duration is to be counted
/// instead. A function of its own, for it is long and called from several places.
#[inline(never)]
fn say(entry: &TrackedSocket, telling: &Telling<'_>, owned: u32) -> bool {
    let Telling { step, past, caller } = telling;
    if !fits(step.from, step.to, &entry.socket) {
        return false;
    }
    let owner = &entry.owners[(entry.accepted & 1) as usize];
    let (flags, owner) = match owned {
        OWNED if owner.wanted == 0 => return false,
        OWNED => (0, Some(owner)),
        _ if !owner::unknown_wanted() => return false,
        UNACCEPTED => (TransitionRecord::UNACCEPTED, None),
        _ => (0, None),
    };
    let before = if past.or_before {
        TransitionRecord::OR_BEFORE
    } else {
        0
    };
    // What began before the start is told for user space to judge, and what came in before and waits
    // to be accepted, for it knows where: both are rare.
    let waits = owned == UNACCEPTED && entry.held_from != LISTEN;
    if setting!(hist.states) != 0 && past.since_ns != 0 && before == 0 && !waits {
        return true;
    }
    tell(&Told {
        time_ns: step.now_ns,
        socket: &entry.socket,
        since_ns: past.since_ns,
        from: step.from as u8,
        to: step.to as u8,
        flags: flags | before,
        protocol: step.protocol,
        owner,
        caller: *caller,
    });
    false
}

/// The entry's owner holds.
const OWNED: u32 = 0;
/// It does not, and somebody has a descriptor.
const NOBODY: u32 = 1;
/// Nobody has one.
const UNACCEPTED: u32 = 2;

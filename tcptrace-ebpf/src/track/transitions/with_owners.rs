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
    transition::{LISTEN, SYN_RECV, SYN_SENT, Step, complete_port, describe, fits},
};
use crate::{filter, settings::setting};

/// Takes a transition in, in three steps: who brought it about, what the socket is now, and handing
/// that on.
#[inline(always)]
pub fn changed(table: &Table, seen: &impl Seen, step: &Step) {
    let Some(entry) = known(table, seen).or_else(|| table::fresh(table, seen.sock())) else {
        return unkept(seen, step);
    };
    let mut space = MaybeUninit::uninit();
    let caller = find_who(entry, seen, step, &mut space);
    describe_what(entry, seen, step);
    hand_on(entry, seen, step, caller);
}

/// Who: the process that opens or closes the socket by a call, which it may get by that.
#[inline(always)]
fn find_who<'a>(
    entry: &mut TrackedSocket,
    seen: &impl Seen,
    step: &Step,
    space: &'a mut MaybeUninit<Owner>,
) -> Option<&'a Owner> {
    if step.opens() {
        let opener = space.write(opener(step.to));
        hand_over(entry, opener);
        Some(opener)
    } else if step.closes() && (setting!(hist.states) == 0 || entry.accepted == 0) {
        let closer = space.write(owner::caller(&entry.owners[(entry.accepted & 1) as usize]));
        // Whoever closes a socket that nobody is known to have has it.
        if entry.accepted == 0 && closer.known_by == Owner::FD && owned(entry, seen) != OWNED {
            hand_over(entry, closer);
        }
        Some(closer)
    } else {
        None
    }
}

/// What: the socket's addresses, which are known from the second transition on, and forgotten in
/// part at the last.
#[inline(always)]
fn describe_what(entry: &mut TrackedSocket, seen: &impl Seen, step: &Step) {
    // So is one that came in, until its next transition, whichever that is.
    let new = entry.socket.family == 0;
    if new || step.opens() || step.from == SYN_RECV {
        let since_ns = entry.socket.since_ns;
        describe(seen, step.to, !new, &mut entry.socket);
        entry.socket.since_ns = since_ns;
        if entry.held_from == LISTEN {
            entry.socket.flags |= WatchedSocket::FROM_LISTENER;
        }
    } else if step.from == SYN_SENT {
        seen.describe_ends(&mut entry.socket);
        complete_port(seen, step.to, true, &mut entry.socket);
    }
}

/// Hands on: tells what was held back, and then tells this one, counts it, or holds it back.
#[inline(always)]
fn hand_on(entry: &mut TrackedSocket, seen: &impl Seen, step: &Step, caller: Option<&Owner>) {
    let owned = owned(entry, seen);
    if entry.flags & TrackedSocket::HELD_BACK != 0 {
        entry.flags &= !TrackedSocket::HELD_BACK;
        let held = held_back(entry, step);
        say(entry, &held, owned);
    }
    let past = entry.step(step.from, step.to, step.now_ns);
    if step.opens() && step.to == SYN_SENT && filter::port_undecided(&entry.socket) {
        entry.flags |= TrackedSocket::HELD_BACK;
        entry.held_from = step.from;
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
            state: step.from,
            ns: step.now_ns.wrapping_sub(past.since_ns),
            owned: owned == OWNED,
            lane: step.lane,
        };
        count::count(entry, &stay);
    }
}

/// The transition that was held back until this next one.
#[inline(always)]
fn held_back(entry: &TrackedSocket, next: &Step) -> Telling<'static> {
    Telling {
        step: Step {
            now_ns: entry.socket.since_ns,
            from: entry.held_from,
            to: entry.state,
            ..*next
        },
        past: Past {
            since_ns: entry.held_since_ns,
            or_before: false,
        },
        caller: None,
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
fn unkept(seen: &impl Seen, step: &Step) {
    let Step { from, to, .. } = *step;
    let owner = if step.opens() {
        opener(to)
    } else {
        Owner::default()
    };
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

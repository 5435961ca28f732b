//! Every socket with its owner.

use core::mem::MaybeUninit;

use tcptrace_common::{
    Ending, OwnerRecord, StateStart, TrackedSocket, TransitionRecord, WatchedSocket,
};

use super::{
    super::{
        owner,
        read_sock::{ReadSock, describe_ends},
        table::{self, Table, hand_over, known},
    },
    count,
    record::{self, Contents},
    transition::{LISTEN, SYN_RECV, SYN_SENT, Transition, complete_port, describe},
};
use crate::{filter, settings::setting};

/// Handles a transition in three steps: who caused it, what the socket is now, and reporting it.
#[inline(always)]
pub fn take_in(table: &Table, sock: &impl ReadSock, transition: &Transition) {
    let known = known(table, sock);
    if transition.is_of_subflow(sock, known.is_some()) {
        return leave_out(table, sock, transition);
    }
    if let Some(entry) = &known
        && entry.flags & TrackedSocket::SUBFLOW != 0
    {
        let _ = table.remove(sock.address() as u64);
        return;
    }
    let Some(entry) = known.or_else(|| table::insert(table, sock.address())) else {
        return write_untracked(sock, transition);
    };
    if transition.comes_in() {
        entry.held_from = LISTEN;
    }
    let mut space = MaybeUninit::uninit();
    let caller = find_who(entry, sock, transition, &mut space);
    describe_what(entry, sock, transition);
    hand_on(entry, sock, transition, caller);
}

/// Forgets a subflow, unless it listens: those who come in may be connections of TCP.
#[inline(always)]
fn leave_out(table: &Table, sock: &impl ReadSock, transition: &Transition) {
    if transition.to != LISTEN {
        let _ = table.remove(sock.address() as u64);
    } else if let Some(entry) = table::insert(table, sock.address()) {
        entry.flags = TrackedSocket::SUBFLOW;
        entry.state = LISTEN;
        hand_over(entry, &opener(LISTEN));
    }
}

/// Who: the process that opens or closes the socket by a system call, and may become its owner by
/// that.
#[inline(always)]
fn find_who<'a>(
    entry: &mut TrackedSocket,
    sock: &impl ReadSock,
    transition: &Transition,
    space: &'a mut MaybeUninit<OwnerRecord>,
) -> Option<&'a OwnerRecord> {
    if transition.opens() {
        let opener = space.write(opener(transition.to));
        hand_over(entry, opener);
        Some(opener)
    } else if transition.closes() || transition.by_call {
        let closer = space.write(owner::caller(entry.owner()));
        if owner::only_looks(closer) {
            return None;
        }
        if closer.known_by == OwnerRecord::FD {
            let same = closer.is_process(entry.owner());
            if entry.handed_over == 0 {
                // A process that closes a socket without a known owner is its owner.
                let is_known = ownership(entry, sock) == Ownership::Known;
                if !(is_known && same) && (transition.closes() || sock.has_file()) {
                    hand_over(entry, closer);
                }
            } else if !same {
                table::take_over(entry, closer);
            } else if entry.taken_over != 0 || entry.holder_pass != 0 {
                entry.used_by_owner(table::passes().last);
            }
        }
        Some(closer)
    } else {
        None
    }
}

/// What: the socket's addresses. They are known from the second transition on, and the kernel
/// clears some of them at the last.
#[inline(always)]
fn describe_what(entry: &mut TrackedSocket, sock: &impl ReadSock, transition: &Transition) {
    // So is a socket that came in, until its next transition, whatever that is.
    let new = entry.socket.family == 0;
    let late = entry.socket.flags & WatchedSocket::MPTCP != 0 && entry.socket.remote_port == 0;
    if new || late || transition.opens() || transition.from == SYN_RECV {
        let since_ns = entry.socket.since_ns;
        describe(sock, transition.to, !new, &mut entry.socket);
        entry.socket.since_ns = since_ns;
        if entry.held_from == LISTEN {
            entry.socket.flags |= WatchedSocket::FROM_LISTENER;
        }
    } else if transition.from == SYN_SENT {
        describe_ends(sock, &mut entry.socket);
        complete_port(sock, transition.to, true, &mut entry.socket);
    }
}

/// Reporting: reports a transition that was held back, and then reports this one, counts it, or
/// holds it back.
#[inline(always)]
fn hand_on(
    entry: &mut TrackedSocket,
    sock: &impl ReadSock,
    transition: &Transition,
    caller: Option<&OwnerRecord>,
) {
    let ownership = ownership(entry, sock);
    if entry.flags & TrackedSocket::HELD_BACK != 0 {
        entry.flags &= !TrackedSocket::HELD_BACK;
        let held = held_back(entry, transition);
        write_unless_counted(entry, &held, ownership);
    }
    let start = entry.step(transition.from, transition.to, transition.now_ns);
    if transition.ending == Ending::ResetStillOpen {
        entry.set_residue_of(transition.from);
    }
    if transition.opens() && transition.to == SYN_SENT && filter::port_undecided(&entry.socket) {
        entry.flags |= TrackedSocket::HELD_BACK;
        entry.held_from = transition.from;
        entry.held_since_ns = start.since_ns;
        return;
    }
    let details = RecordDetails {
        transition: *transition,
        start,
        caller,
    };
    // Not called from within the other function, because both together would take too much stack.
    if write_unless_counted(entry, &details, ownership) {
        let ns = transition.now_ns.wrapping_sub(start.since_ns);
        let owner_known = ownership == Ownership::Known;
        count::count(entry, &details.transition, ns, owner_known);
    }
}

/// The transition that was held back until this one.
#[inline(always)]
fn held_back(entry: &TrackedSocket, next: &Transition) -> RecordDetails<'static> {
    RecordDetails {
        transition: Transition {
            now_ns: entry.socket.since_ns,
            from: entry.held_from,
            to: entry.state,
            ending: Ending::Closed,
            ..*next
        },
        start: StateStart {
            since_ns: entry.held_since_ns,
            or_before: false,
        },
        caller: None,
    }
}

/// What a record says about a transition apart from the socket.
struct RecordDetails<'a> {
    transition: Transition,
    start: StateStart,
    caller: Option<&'a OwnerRecord>,
}

/// A transition of a socket that did not fit: only what the transition itself shows.
#[inline(always)]
fn write_untracked(sock: &impl ReadSock, transition: &Transition) {
    let owner = if transition.opens() {
        opener(transition.to)
    } else {
        OwnerRecord::default()
    };
    let mut socket = WatchedSocket::default();
    describe(sock, transition.to, false, &mut socket);
    let wanted =
        owner.wanted != 0 || (owner.known_by == OwnerRecord::UNKNOWN && owner::unknown_wanted());
    if wanted && transition.is_wanted(&socket) {
        record::write(&Contents {
            time_ns: transition.now_ns,
            socket: &socket,
            since_ns: 0,
            from: transition.from as u8,
            to: transition.to as u8,
            flags: transition.flags(),
            protocol: transition.protocol,
            owner: Some(&owner),
            user: None,
            caller: Some(&owner),
        });
    }
}

/// The process that connects or listens.
#[inline(always)]
fn opener(to: u32) -> OwnerRecord {
    owner::current(if to == LISTEN {
        OwnerRecord::LISTEN
    } else {
        OwnerRecord::CONNECT
    })
}

/// What is known about a socket's owner.
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
enum Ownership {
    /// It is the entry's owner.
    Known,
    /// Some process has a descriptor, but it is not known which one.
    Unknown,
    /// No process has a descriptor.
    Unaccepted,
}

/// Whether the entry's owner is valid: the listener's owner is not, once a process has accepted the
/// socket unseen.
#[inline(always)]
fn ownership(entry: &TrackedSocket, sock: &impl ReadSock) -> Ownership {
    let owner = entry.owner();
    match owner.known_by {
        OwnerRecord::UNKNOWN if sock.has_file() => Ownership::Unknown,
        OwnerRecord::UNKNOWN => Ownership::Unaccepted,
        OwnerRecord::LISTENER if setting!(track.sees_accept) != 0 && sock.has_file() => {
            Ownership::Unknown
        }
        _ => Ownership::Known,
    }
}

/// Writes the record if it passes the filter, or returns true if the duration is to be counted
/// instead. A separate function, because it is long and called from several places.
#[inline(never)]
fn write_unless_counted(
    entry: &TrackedSocket,
    details: &RecordDetails<'_>,
    ownership: Ownership,
) -> bool {
    let RecordDetails {
        transition,
        start,
        caller,
    } = details;
    if !transition.is_wanted(&entry.socket) {
        return false;
    }
    let owner = entry.owner();
    let user = table::user(entry);
    // After an exec the caller has another name than the owner had.
    let used_by_wanted = user.is_some_and(|user| user.wanted != 0)
        || caller.is_some_and(|caller| caller.wanted != 0);
    let (flags, owner) = match ownership {
        Ownership::Known if owner.wanted == 0 && !used_by_wanted => return false,
        Ownership::Known => (transition.flags(), Some(owner)),
        _ if !owner::unknown_wanted() && !used_by_wanted => return false,
        Ownership::Unaccepted => (transition.flags() | TransitionRecord::UNACCEPTED, None),
        Ownership::Unknown => (transition.flags(), None),
    };
    let before = if start.or_before {
        TransitionRecord::OR_BEFORE
    } else {
        0
    };
    // User space decides about durations that began before the start, and about sockets that came
    // in before and wait to be accepted, because it knows their listeners. Both are rare, so they
    // are reported.
    let waits = ownership == Ownership::Unaccepted && entry.held_from != LISTEN;
    if setting!(hist.states) != 0 && start.since_ns != 0 && before == 0 && !waits {
        return true;
    }
    record::write(&Contents {
        time_ns: transition.now_ns,
        socket: &entry.socket,
        since_ns: start.since_ns,
        from: transition.from as u8,
        to: transition.to as u8,
        flags: flags | before,
        protocol: transition.protocol,
        owner,
        user,
        caller: *caller,
    });
    false
}

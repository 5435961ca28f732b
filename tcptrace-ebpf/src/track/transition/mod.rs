//! A socket goes from one state to another.
//!
//! Kernel prototype (`include/trace/events/sock.h`):
//! `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)` for
//! `inet_sock_set_state`.

mod count;
mod record;
mod without_owners;

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, tracepoint},
    programs::{BtfTracePointContext, TracePointContext},
};
use tcptrace_common::{
    IPPROTO_MPTCP, IPPROTO_TCP, Owner, Past, TcpState, TrackedSocket, TransitionRecord,
    WatchedSocket,
};

use self::{
    count::Stay,
    record::{Told, tell},
};
use super::{
    accept::hand_over,
    owner,
    seen::{Seen, Typed},
    table::{self, Table},
};
use crate::{filter, settings::setting, sock::peek, tracepoint::Record};

const CLOSE: u32 = TcpState::Close as u32;
const LISTEN: u32 = TcpState::Listen as u32;
const SYN_SENT: u32 = TcpState::SynSent as u32;
const SYN_RECV: u32 = TcpState::SynRecv as u32;
const FIN_WAIT1: u32 = TcpState::FinWait1 as u32;
const LAST_ACK: u32 = TcpState::LastAck as u32;

#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn transition_btf(ctx: BtfTracePointContext) -> i32 {
    let (from, to) = (ctx.arg::<i32>(1) as u32, ctx.arg::<i32>(2) as u32);
    transition(table::table!(), &Typed::new(&ctx), from, to, FIRST);
    0
}

/// The same once more, attached when the kernel is seen to skip runs of the other: it does so while
/// that one is interrupted on the same CPU, but then it runs this one.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn transition_again_btf(ctx: BtfTracePointContext) -> i32 {
    let (table, seen) = (table::table!(), Typed::new(&ctx));
    let (from, to) = (ctx.arg::<i32>(1) as u32, ctx.arg::<i32>(2) as u32);
    let told = match table::get(table, seen.sock()) {
        Some(entry) => entry.state == to,
        // What has just been closed may have no entry any more, some never have one, and for some there was no room.
        None => to == CLOSE || without_owners::leaves_out(to) || table::was_unkept(seen.sock()),
    };
    if from != to && !told && transition(table, &seen, from, to, AGAIN) {
        table::count(|counters| counters.rescued += 1);
    }
    0
}

#[tracepoint(category = "sock", name = "inet_sock_set_state")]
pub fn transition_tracepoint(ctx: TracePointContext) -> u32 {
    let record = Record::new(&ctx);
    let (from, to) = (record.old_state() as u32, record.new_state() as u32);
    transition(table::preallocated(), &record, from, to, FIRST);
    0
}

/// Takes a transition in; whether it was any of our business.
#[inline(always)]
fn transition(table: &Table, seen: &impl Seen, from: u32, to: u32, lane: u32) -> bool {
    if without_owners::leaves_out(from) && without_owners::leaves_out(to) {
        return false;
    }
    let protocol = seen.protocol();
    // Closing what was shut down before sets the state that the socket is in already.
    if from == to || (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) {
        return false;
    }
    // SAFETY: the helper takes nothing and only reads the clock.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let step = Step {
        protocol,
        from,
        to,
        now_ns,
        lane,
    };
    if setting!(hist.unowned) != 0 {
        return without_owners::changed(table, seen, &step);
    }
    if from == LISTEN && to == SYN_RECV {
        came_in(table, seen, now_ns);
    } else {
        changed(table, seen, &step);
    }
    // No one tells when an MPTCP connection as a whole is destroyed.
    if protocol == IPPROTO_MPTCP && to == CLOSE {
        let _ = table.remove(seen.sock() as u64);
    }
    true
}

/// A new socket, made for a connection that came in at a listener. Its addresses are filled in
/// only afterwards (up to 6.12), and its cookie is the listener's until then: the transition is
/// told with the next one, which follows at once.
#[inline(always)]
fn came_in(table: &Table, seen: &impl Seen, now_ns: u64) {
    if let Some(entry) = table::fresh(table, seen.sock()) {
        entry.state = SYN_RECV;
        entry.flags = TrackedSocket::HELD_BACK;
        entry.held_from = LISTEN;
        entry.socket.since_ns = now_ns;
        copy_listener(table, seen.sock(), &mut entry.owners[0]);
    }
}

/// Finds the owner of the listener that a new socket was made for.
///
/// The new socket is a copy of the listener, of which `inet_csk_clone_lock` has reset only some
/// members yet. An empty list in the listener, whose head points to itself, still does so in the
/// copy: `tsq_node` of `struct tcp_sock`, which `tcp_create_openreq_child` resets later.
#[inline(always)]
fn copy_listener(table: &Table, child: *const u8, owner: &mut Owner) {
    let offset = setting!(sock.tsq_node);
    if offset == 0 {
        return;
    }
    let [next, previous] = peek::<[u64; 2]>(child, offset);
    if next != previous {
        return;
    }
    let sock = next.wrapping_sub(u64::from(offset)) as *const u8;
    let Some(entry) = table::get(table, sock) else {
        return;
    };
    let listens = &entry.owners[(entry.accepted & 1) as usize];
    if entry.state != LISTEN || listens.known_by == Owner::UNKNOWN {
        return;
    }
    // SAFETY: two entries of the map do not overlap, which the compiler would allow for by a call.
    unsafe { core::ptr::copy_nonoverlapping(listens, owner, 1) };
    owner.known_by = Owner::LISTENER;
    // A listener that went away in between may have left its place to another socket.
    let cookie = entry.socket.cookie;
    if u32::from(peek::<u8>(sock, setting!(sock.skc_state))) != LISTEN
        || (cookie != 0 && cookie != peek::<u64>(sock, setting!(sock.skc_cookie)))
    {
        owner.known_by = Owner::UNKNOWN;
    }
}

#[inline(always)]
fn changed(table: &Table, seen: &impl Seen, step: &Step) {
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

/// A transition, and who sees it.
#[derive(Clone, Copy)]
pub struct Step {
    pub protocol: u16,
    pub from: u32,
    pub to: u32,
    pub now_ns: u64,
    /// Which program.
    pub lane: u32,
}

/// The program that runs at first, and the one that stands in for it.
const FIRST: u32 = 0;
const AGAIN: u32 = 1;

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

/// The socket's entry, unless it is that of an earlier socket in the same place.
#[inline(always)]
pub fn known(table: &Table, seen: &impl Seen) -> Option<&'static mut TrackedSocket> {
    let entry = table::get(table, seen.sock())?;
    let cookie = seen.cookie();
    let other = entry.socket.cookie != 0 && cookie != 0 && entry.socket.cookie != cookie;
    if other { None } else { Some(entry) }
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

/// Everything about the socket but the time.
#[inline(always)]
pub fn describe(seen: &impl Seen, to: u32, again: bool, socket: &mut WatchedSocket) {
    seen.describe_place(socket);
    seen.describe_ends(socket);
    complete_port(seen, to, again, socket);
}

/// A socket that is closed has no port any more (`skc_num`), but what it was stays in `inet_sport`
/// until it gets another one. Hence that says nothing of a socket that is about to connect `again`.
#[inline(always)]
fn complete_port(seen: &impl Seen, to: u32, again: bool, socket: &mut WatchedSocket) {
    let sock = seen.sock();
    if to == SYN_SENT {
        let offset = setting!(sock.skc_num);
        if offset != 0 {
            socket.local_port = peek(sock, offset);
        } else if again {
            socket.local_port = 0;
        }
    } else if socket.local_port == 0 && setting!(sock.inet_sport) != 0 {
        socket.local_port = u16::from_be(peek(sock, setting!(sock.inet_sport)));
    }
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

/// Whether the filter wants such a transition of such a socket.
#[inline(always)]
pub fn fits(from: u32, to: u32, socket: &WatchedSocket) -> bool {
    let counted = setting!(hist.states);
    let wanted = if counted != 0 {
        // A socket that comes in at a listener was never in that one's state.
        counted & (1 << (from & 31)) != 0 && !(from == LISTEN && to == SYN_RECV)
    } else {
        let states = setting!(log.states);
        states == 0 || states & (1 << (from & 31) | 1 << (to & 31)) != 0
    };
    wanted && filter::fits(socket)
}

/// The entry's owner holds.
const OWNED: u32 = 0;
/// It does not, and somebody has a descriptor.
const NOBODY: u32 = 1;
/// Nobody has one.
const UNACCEPTED: u32 = 2;

//! A transition, what it shows about its socket, and whether it is wanted.

use tcptrace_common::{
    Ending, IPPROTO_MPTCP, IPPROTO_TCP, SockAtEnd, TcpState, TransitionRecord, WatchedSocket,
    has_other_ends,
};

use super::super::read_sock::{ReadSock, describe_ends};
use crate::{filter, memory::peek, mptcp::is_subflow, settings::setting};

pub const CLOSE: u32 = TcpState::Close as u32;
pub const LISTEN: u32 = TcpState::Listen as u32;
pub const SYN_SENT: u32 = TcpState::SynSent as u32;
pub const SYN_RECV: u32 = TcpState::SynRecv as u32;
const FIN_WAIT1: u32 = TcpState::FinWait1 as u32;
const LAST_ACK: u32 = TcpState::LastAck as u32;

/// The program that reports transitions.
pub const FIRST: u32 = 0;
/// The second program, which runs when the kernel skips the first.
pub const STAND_IN: u32 = 1;

/// A transition, and the program that handles it.
#[derive(Clone, Copy)]
pub struct Transition {
    /// `IPPROTO_TCP` or `IPPROTO_MPTCP`.
    pub protocol: u16,
    pub from: u32,
    pub to: u32,
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
    /// [`FIRST`] or [`STAND_IN`]. Each counts in decades and keys of its own, because one may interrupt
    /// the other.
    pub program: u32,
    /// How the stay in `from` ended.
    pub ending: Ending,
    /// Whether the current task's own call ended a connection, or an attempt to make one.
    pub by_call: bool,
}

/// How a socket goes to `CLOSE`, and whether the current task does that by its own call.
#[inline(always)]
pub fn ending(sock: &impl ReadSock, protocol: u16, from: u32, to: u32) -> (Ending, bool) {
    let tells = has_other_ends(from) || from == SYN_SENT || from == SYN_RECV;
    if to != CLOSE || !tells || setting!(sock.sk_lock_owned) == 0 {
        return (Ending::by_states(from, to), false);
    }
    let end = SockAtEnd {
        err: sock.load(setting!(sock.sk_err)),
        flags: sock.load(setting!(sock.skc_flags)),
        shutdown: sock.load(setting!(sock.sk_shutdown)),
        owned: sock.load::<i32>(setting!(sock.sk_lock_owned)) != 0,
        open: sock.has_file(),
    };
    if protocol == IPPROTO_MPTCP {
        return (end.ending_of_mptcp(from), false);
    }
    (end.ending(from), end.is_by_call(from))
}

impl Transition {
    /// The flags of its record, as far as they are known here. The ending is among them because a
    /// program has little room on its stack (512 bytes together with those that it calls).
    #[inline(always)]
    pub fn flags(&self) -> u16 {
        (self.ending as u16) << TransitionRecord::ENDING_SHIFT
    }

    /// Whether a process connects or listens by a system call: then the current task is the caller.
    /// In other transitions it is the task that happened to run.
    #[inline(always)]
    pub fn opens(&self) -> bool {
        self.from == CLOSE && (self.to == SYN_SENT || self.to == LISTEN)
    }

    /// Whether a process closes or shuts down by a system call, likewise.
    #[inline(always)]
    pub fn closes(&self) -> bool {
        self.to == FIN_WAIT1 || self.to == LAST_ACK || (self.from == LISTEN && self.to == CLOSE)
    }

    /// Whether an MPTCP connection comes in at a listener: it begins with this transition.
    #[inline(always)]
    pub fn comes_in(&self) -> bool {
        self.protocol == IPPROTO_MPTCP && self.from == LISTEN && self.to != CLOSE
    }

    /// Whether it is about a subflow of MPTCP, which is left out: the connection has transitions of its
    /// own. `known`: the socket is followed, so it was none at an earlier transition.
    #[inline(always)]
    pub fn is_of_subflow(&self, sock: &impl ReadSock, known: bool) -> bool {
        let undecided = !known || self.opens() || self.from == SYN_RECV;
        undecided && self.protocol == IPPROTO_TCP && is_subflow(sock.address())
    }

    /// Whether the filter wants such a transition of such a socket.
    #[inline(always)]
    pub fn is_wanted(&self, socket: &WatchedSocket) -> bool {
        let Self { from, to, .. } = *self;
        let counted = setting!(hist.states);
        let wanted = if counted != 0 {
            // A socket that comes from a listener was never in the listener's state.
            counted & (1 << (from & 31)) != 0 && !(from == LISTEN && to != CLOSE)
        } else {
            let states = setting!(track.states);
            states == 0 || states & (1 << (from & 31) | 1 << (to & 31)) != 0
        };
        wanted && filter::fits(socket)
    }
}

/// Everything about the socket except the time.
#[inline(always)]
pub fn describe(sock: &impl ReadSock, to: u32, again: bool, socket: &mut WatchedSocket) {
    sock.describe_place(socket);
    describe_ends(sock, socket);
    complete_port(sock, to, again, socket);
}

/// A closed socket no longer has a port (`skc_num`), but `inet_sport` keeps the old port until the
/// socket gets another one. So `inet_sport` says nothing about a socket that is about to connect
/// `again`.
#[inline(always)]
pub fn complete_port(sock: &impl ReadSock, to: u32, again: bool, socket: &mut WatchedSocket) {
    let address = sock.address();
    if to == SYN_SENT {
        let offset = setting!(sock.skc_num);
        if offset != 0 {
            socket.local_port = peek(address, offset);
        } else if again {
            socket.local_port = 0;
        }
    } else if socket.local_port == 0 && setting!(sock.inet_sport) != 0 {
        socket.local_port = u16::from_be(peek(address, setting!(sock.inet_sport)));
    }
}

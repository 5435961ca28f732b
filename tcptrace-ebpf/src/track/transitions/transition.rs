//! What a transition is, what it says about its socket, and whether it is wanted.

use tcptrace_common::{TcpState, WatchedSocket};

use super::super::read_sock::ReadSock;
use crate::{filter, memory::peek, settings::setting};

pub const CLOSE: u32 = TcpState::Close as u32;
pub const LISTEN: u32 = TcpState::Listen as u32;
pub const SYN_SENT: u32 = TcpState::SynSent as u32;
pub const SYN_RECV: u32 = TcpState::SynRecv as u32;
const FIN_WAIT1: u32 = TcpState::FinWait1 as u32;
const LAST_ACK: u32 = TcpState::LastAck as u32;

/// The program that tells transitions.
pub const FIRST: u32 = 0;
/// The one that stands in for it.
pub const STAND_IN: u32 = 1;

/// A transition, and the program that takes it in.
#[derive(Clone, Copy)]
pub struct Transition {
    /// `IPPROTO_TCP` or `IPPROTO_MPTCP`.
    pub protocol: u16,
    pub from: u32,
    pub to: u32,
    /// When, in ns of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
    /// [`FIRST`] or [`STAND_IN`].
    pub program: u32,
}

impl Transition {
    /// Whether a process connects or listens by a call: the current task is the one that calls. In
    /// other transitions it is whoever was running.
    #[inline(always)]
    pub fn opens(&self) -> bool {
        self.from == CLOSE && (self.to == SYN_SENT || self.to == LISTEN)
    }

    /// Whether a process closes or shuts down by a call, likewise.
    #[inline(always)]
    pub fn closes(&self) -> bool {
        self.to == FIN_WAIT1 || self.to == LAST_ACK || (self.from == LISTEN && self.to == CLOSE)
    }

    /// Whether the filter wants such a transition of such a socket.
    #[inline(always)]
    pub fn is_wanted(&self, socket: &WatchedSocket) -> bool {
        let Self { from, to, .. } = *self;
        let counted = setting!(hist.states);
        let wanted = if counted != 0 {
            // A socket that comes in at a listener was never in that one's state.
            counted & (1 << (from & 31)) != 0 && !(from == LISTEN && to == SYN_RECV)
        } else {
            let states = setting!(track.states);
            states == 0 || states & (1 << (from & 31) | 1 << (to & 31)) != 0
        };
        wanted && filter::fits(socket)
    }
}

/// Everything about the socket but the time.
#[inline(always)]
pub fn describe(sock: &impl ReadSock, to: u32, again: bool, socket: &mut WatchedSocket) {
    sock.describe_place(socket);
    sock.describe_ends(socket);
    complete_port(sock, to, again, socket);
}

/// A socket that is closed has no port any more (`skc_num`), but what it was stays in `inet_sport`
/// until it gets another one. Hence that says nothing of a socket that is about to connect `again`.
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

//! What a transition is, what it says about its socket, and whether it is wanted.

use tcptrace_common::{TcpState, WatchedSocket};

use super::super::seen::Seen;
use crate::{filter, settings::setting, sock::peek};

pub const CLOSE: u32 = TcpState::Close as u32;
pub const LISTEN: u32 = TcpState::Listen as u32;
pub const SYN_SENT: u32 = TcpState::SynSent as u32;
pub const SYN_RECV: u32 = TcpState::SynRecv as u32;
const FIN_WAIT1: u32 = TcpState::FinWait1 as u32;
const LAST_ACK: u32 = TcpState::LastAck as u32;

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

// In these two a process brings the transition about by a call on the socket: the current task is
// the one that calls. In others it is whoever was running.
impl Step {
    /// Whether it connects or listens.
    #[inline(always)]
    pub fn opens(&self) -> bool {
        self.from == CLOSE && (self.to == SYN_SENT || self.to == LISTEN)
    }

    /// Whether it closes or shuts down.
    #[inline(always)]
    pub fn closes(&self) -> bool {
        self.to == FIN_WAIT1 || self.to == LAST_ACK || (self.from == LISTEN && self.to == CLOSE)
    }
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
pub fn complete_port(seen: &impl Seen, to: u32, again: bool, socket: &mut WatchedSocket) {
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

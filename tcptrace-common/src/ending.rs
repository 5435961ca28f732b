use crate::TcpState;

/// How a stay in a state ended. Only what is not an ordinary end stands apart: see [`SockAtEnd::ending`].
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// By a call of a process, or by a segment that belongs to a handshake or to an orderly end.
    #[default]
    Closed = 0,
    /// By the network, a timer or an administrator, when no process had it open.
    Reset = 1,
    /// The same while a process had it open, and has it open from then on.
    ResetStillOpen = 2,
    /// Its process had closed it, and the peer had not. The kernel keeps a small entry at most, in
    /// `FIN_WAIT2`, of which it reports no transitions.
    ToRemainder = 3,
    /// It is not known.
    Unknown = 4,
}

impl Ending {
    /// Every ending, by number.
    pub const ALL: [Self; 5] = [
        Self::Closed,
        Self::Reset,
        Self::ResetStillOpen,
        Self::ToRemainder,
        Self::Unknown,
    ];

    /// The ending with this number; one that does not exist is unknown.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Closed,
            1 => Self::Reset,
            2 => Self::ResetStillOpen,
            3 => Self::ToRemainder,
            _ => Self::Unknown,
        }
    }

    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::ResetStillOpen => "reset_still_open",
            Self::ToRemainder => "to_remainder",
            Self::Unknown => "unknown",
        }
    }

    /// The ending with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }

    /// The ending of a transition if nothing but the states is known.
    #[inline(always)]
    #[must_use]
    pub const fn by_states(from: u32, to: u32) -> Self {
        if to == CLOSE && has_other_ends(from) {
            Self::Unknown
        } else {
            Self::Closed
        }
    }
}

const CLOSE: u32 = TcpState::Close as u32;
const ESTABLISHED: u32 = TcpState::Established as u32;
const FIN_WAIT1: u32 = TcpState::FinWait1 as u32;
const FIN_WAIT2: u32 = TcpState::FinWait2 as u32;
const CLOSE_WAIT: u32 = TcpState::CloseWait as u32;
const LAST_ACK: u32 = TcpState::LastAck as u32;
const CLOSING: u32 = TcpState::Closing as u32;

/// How many states [`has_other_ends`] is true of.
pub(crate) const OTHER_ENDS: u32 = 6;

/// The number among the states of a connection; [`OTHER_ENDS`] for a state of none.
#[inline(always)]
pub(crate) const fn connected_index(state: u32) -> u32 {
    match state {
        ESTABLISHED => 0,
        FIN_WAIT1 => 1,
        FIN_WAIT2 => 2,
        CLOSE_WAIT => 3,
        LAST_ACK => 4,
        CLOSING => 5,
        _ => OTHER_ENDS,
    }
}

/// Whether a stay in that state may end in another way than [`Ending::Closed`]: those of a connection.
/// A connect that fails and a listener that closes have ordinary ends.
#[inline(always)]
#[must_use]
pub const fn has_other_ends(state: u32) -> bool {
    connected_index(state) < OTHER_ENDS
}

/// What a `struct sock` shows when it goes to `CLOSE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockAtEnd {
    /// `sk_err`.
    pub err: i32,
    /// `sk_flags`: bits of `enum sock_flags`.
    pub flags: u64,
    /// `sk_shutdown`.
    pub shutdown: u8,
    /// Whether a process has its lock (`sk_lock.owned`): segments and timers then wait.
    pub owned: bool,
    /// Whether a process has it open (`sk_socket`).
    pub open: bool,
}

impl SockAtEnd {
    /// `SOCK_DEAD` of `enum sock_flags` (`include/net/sock.h`): no process has it any more
    /// (`sock_orphan`).
    const DEAD: u64 = 1;
    /// `SOCK_DONE` likewise: the peer's FIN has come.
    const DONE: u64 = 2;
    /// `SHUTDOWN_MASK` of `include/net/sock.h`.
    const SHUTDOWN_MASK: u8 = 3;

    /// Whether the current task's own call ends it, and not the network, a timer or an administrator.
    ///
    /// The kernel sets `sk_err` before it closes a connection for one of these (`tcp_reset`,
    /// `tcp_write_err`, `tcp_abort`), also when a call of the process itself takes the segment from the
    /// backlog. A call that ends a connection sets it afterwards (`tcp_disconnect`) or not at all
    /// (`__tcp_close`), and has the lock; all of `net/ipv4/`.
    #[inline(always)]
    #[must_use]
    pub const fn is_by_call(&self, from: u32) -> bool {
        if self.is_orderly(from) {
            return false;
        }
        if !self.open && self.flags & Self::DEAD == 0 {
            // Nobody has accepted it, and its listener is closed (`inet_csk_listen_stop`).
            return self.err == 0;
        }
        // An older error may be pending. In these states only `__tcp_close` has shut down both ways.
        let closing = self.open
            && self.shutdown == Self::SHUTDOWN_MASK
            && (from == ESTABLISHED || from == CLOSE_WAIT);
        self.owned && (self.err == 0 || closing)
    }

    /// How the stay in `from` ends when the socket goes to `CLOSE`.
    #[inline(always)]
    #[must_use]
    pub const fn ending(&self, from: u32) -> Ending {
        if !has_other_ends(from) || (self.is_orderly(from) && self.err == 0) {
            return Ending::Closed;
        }
        if from == FIN_WAIT2 && self.err == 0 && self.flags & Self::DEAD != 0 {
            return Ending::ToRemainder;
        }
        if self.is_by_call(from) {
            Ending::Closed
        } else if self.open {
            Ending::ResetStillOpen
        } else {
            Ending::Reset
        }
    }

    /// The same for an MPTCP connection. What ends it is the kernel's worker, which has the lock, and
    /// which sets no error in older kernels; and there are no remainders (`net/mptcp/protocol.c`).
    #[inline(always)]
    #[must_use]
    pub const fn ending_of_mptcp(&self, from: u32) -> Ending {
        let orderly = from == FIN_WAIT2 || from == LAST_ACK || from == CLOSING;
        if !has_other_ends(from) || (orderly && self.err == 0) {
            Ending::Closed
        } else {
            Ending::Unknown
        }
    }

    /// Whether only the peer's last segment is awaited, or has come.
    #[inline(always)]
    const fn is_orderly(&self, from: u32) -> bool {
        from == LAST_ACK || from == CLOSING || (from == FIN_WAIT2 && self.flags & Self::DONE != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPIPE: i32 = 32;
    const ECONNABORTED: i32 = 103;
    const ETIMEDOUT: i32 = 110;

    /// In a call of the process that has it open.
    const CALL: SockAtEnd = SockAtEnd {
        err: 0,
        flags: 0,
        shutdown: 0,
        owned: true,
        open: true,
    };
    /// In the network's part of the kernel, while a process has it open.
    const NETWORK: SockAtEnd = SockAtEnd {
        owned: false,
        ..CALL
    };
    /// The same after its process has closed it.
    const ORPHAN: SockAtEnd = SockAtEnd {
        flags: SockAtEnd::DEAD,
        shutdown: 3,
        open: false,
        ..NETWORK
    };

    fn judged(sock: SockAtEnd, from: u32) -> (Ending, bool) {
        (sock.ending(from), sock.is_by_call(from))
    }

    #[test]
    fn a_process_ends_it_by_its_own_reset() {
        let by_call = (Ending::Closed, true);
        let close = SockAtEnd {
            shutdown: 3,
            ..CALL
        };
        for from in [ESTABLISHED, CLOSE_WAIT, FIN_WAIT1, FIN_WAIT2] {
            assert_eq!(judged(close, from), by_call, "unread data or linger 0");
            assert_eq!(judged(CALL, from), by_call, "connect(AF_UNSPEC)");
        }
        let pending = SockAtEnd {
            err: EPIPE,
            ..close
        };
        assert_eq!(judged(pending, CLOSE_WAIT), by_call);
        let unaccepted = SockAtEnd {
            open: false,
            ..NETWORK
        };
        assert_eq!(judged(unaccepted, CLOSE_WAIT), by_call);
    }

    #[test]
    fn the_network_ends_it_and_the_descriptor_stays() {
        for (err, owned) in [
            (EPIPE, false),
            // From the backlog, in a call of the process.
            (EPIPE, true),
            (ETIMEDOUT, false),
            // By `ss -K`, which takes the lock.
            (ECONNABORTED, true),
            // The process has already read the error.
            (0, false),
        ] {
            let sock = SockAtEnd {
                err,
                owned,
                shutdown: 1,
                ..CALL
            };
            for from in [ESTABLISHED, CLOSE_WAIT] {
                let seen = judged(sock, from);
                assert_eq!(seen, (Ending::ResetStillOpen, false), "{err} {owned}");
            }
        }
    }

    #[test]
    fn without_a_process_it_is_a_reset_a_remainder_or_an_orderly_end() {
        let reset = SockAtEnd { err: 104, ..ORPHAN };
        for from in [FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING] {
            assert_eq!(judged(reset, from), (Ending::Reset, false));
        }
        assert_eq!(judged(ORPHAN, FIN_WAIT1), (Ending::Reset, false));
        assert_eq!(judged(ORPHAN, FIN_WAIT2), (Ending::ToRemainder, false));
        let in_close = SockAtEnd {
            owned: true,
            ..ORPHAN
        };
        assert_eq!(judged(in_close, FIN_WAIT2), (Ending::ToRemainder, true));
        let done = SockAtEnd {
            flags: SockAtEnd::DEAD | SockAtEnd::DONE,
            ..ORPHAN
        };
        for from in [FIN_WAIT2, LAST_ACK, CLOSING] {
            assert_eq!(judged(done, from), (Ending::Closed, false));
            // The last segment may wait in the backlog of a call.
            let sock = SockAtEnd {
                flags: SockAtEnd::DONE,
                ..CALL
            };
            assert_eq!(judged(sock, from), (Ending::Closed, false));
        }
    }

    #[test]
    fn only_connections_have_other_ends() {
        let connected = TcpState::ALL.map(|state| u32::from(state.number()));
        let connected = connected.into_iter().filter(|state| has_other_ends(*state));
        let indices = connected.map(connected_index);
        assert!(indices.clone().all(|index| index < OTHER_ENDS));
        assert_eq!(indices.count(), OTHER_ENDS as usize);
        let refused = SockAtEnd {
            err: 111,
            ..NETWORK
        };
        let syn_sent = TcpState::SynSent as u32;
        assert_eq!(judged(refused, syn_sent), (Ending::Closed, false));
        assert_eq!(Ending::by_states(CLOSE_WAIT, LAST_ACK), Ending::Closed);
        assert_eq!(Ending::by_states(CLOSE_WAIT, CLOSE), Ending::Unknown);
        assert_eq!(Ending::by_states(syn_sent, CLOSE), Ending::Closed);
    }

    #[test]
    fn numbers_and_endings_map_one_to_one() {
        for (number, ending) in (0..).zip(Ending::ALL) {
            assert_eq!(ending as u8, number);
            assert_eq!(Ending::from_number(number), ending);
            assert_eq!(Ending::from_name(ending.name()), Some(ending));
        }
    }

    #[test]
    fn of_an_mptcp_connection_only_orderly_ends_are_certain() {
        assert_eq!(CALL.ending_of_mptcp(CLOSE_WAIT), Ending::Unknown);
        assert_eq!(ORPHAN.ending_of_mptcp(FIN_WAIT2), Ending::Closed);
        assert_eq!(
            ORPHAN.ending_of_mptcp(TcpState::Listen as u32),
            Ending::Closed
        );
    }
}

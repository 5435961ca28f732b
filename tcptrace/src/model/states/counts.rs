//! Numbers by state.

use tcptrace_common::TcpState;

use crate::model::states::member::{Kind, Member, NoSocket};

/// The states of sockets, in the order in which a connection goes through them.
pub const STATES: [TcpState; 11] = [
    TcpState::Listen,
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait1,
    TcpState::FinWait2,
    TcpState::CloseWait,
    TcpState::Closing,
    TcpState::LastAck,
    TcpState::TimeWait,
    TcpState::Close,
];

/// How many there are of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    states: [u64; 16],
    no_sockets: [u64; 3],
    /// Closed sockets that were connected: they are among those in `CLOSE`.
    pub residue: u64,
}

impl Counts {
    /// Adds something.
    pub fn add(&mut self, member: &Member) {
        match member.kind {
            Kind::Socket(state) => self.states[usize::from(state.number())] += member.count,
            Kind::NoSocket(kind) => self.no_sockets[kind as usize] += member.count,
        }
        self.residue += u64::from(member.residue) * member.count;
    }

    /// Adds all of another.
    pub fn add_all(&mut self, other: &Self) {
        let sum = |all: &mut [u64], more: &[u64]| {
            for (one, more) in all.iter_mut().zip(more) {
                *one += more;
            }
        };
        sum(&mut self.states, &other.states);
        sum(&mut self.no_sockets, &other.no_sockets);
        self.residue += other.residue;
    }

    /// Sockets in a state. What is in `TIME_WAIT` is no socket: it counts all the same, for this is what
    /// other tools show.
    #[must_use]
    pub fn of(&self, state: TcpState) -> u64 {
        match state {
            TcpState::TimeWait => self.no_socket(NoSocket::TimeWait),
            state => self.states[usize::from(state.number())],
        }
    }

    /// What is no socket.
    #[must_use]
    pub fn no_socket(&self, kind: NoSocket) -> u64 {
        self.no_sockets[kind as usize]
    }

    /// All sockets.
    #[must_use]
    pub fn sockets(&self) -> u64 {
        self.states.iter().sum()
    }

    /// What the kernel keeps of sockets that were closed.
    #[must_use]
    pub fn remainders(&self) -> u64 {
        self.no_socket(NoSocket::TimeWait) + self.no_socket(NoSocket::FinWait2Remainder)
    }
}

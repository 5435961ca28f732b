//! The minimum time that a socket has been in a state, if it entered unseen.

use tcptrace_common::TcpState;

use crate::model::stuck::look::Listed;

/// The latest moment, in ns of `CLOCK_MONOTONIC`, at which a listed socket can have entered its
/// state.
///
/// A socket enters some states when it processes a segment from the peer with its acknowledgment
/// (`tcp_ack` sets `rcv_tstamp`, RFC 9293 section 3.10.7.4), so the last acknowledgment is not
/// older than the state. The other states begin with a system call of the process, about which the
/// acknowledgment says nothing, so their age is only known from the listing on.
#[must_use]
pub fn at_latest_ns(socket: &Listed) -> u64 {
    let last_ack_ns = socket
        .last_ack_ns
        .filter(|_| entered_by_segment(socket.state));
    last_ack_ns.unwrap_or(socket.listed_ns)
}

/// Whether a segment from the peer leads to the state.
#[must_use]
pub fn entered_by_segment(state: TcpState) -> bool {
    matches!(
        state,
        TcpState::Established | TcpState::FinWait2 | TcpState::CloseWait | TcpState::Closing
    )
}

#[cfg(test)]
mod tests {
    use tcptrace_common::TcpState;

    use super::at_latest_ns;
    use crate::{
        fixtures::{end, listed},
        model::stuck::look::Listed,
    };

    fn socket(state: TcpState, last_ack_ns: Option<u64>) -> Listed {
        Listed {
            state,
            listed_ns: 5_000_000_000,
            last_ack_ns,
            ..listed(1, end("10.0.0.1", 1), end("10.0.0.2", 2), 0)
        }
    }

    #[test]
    fn close_wait_is_as_old_as_the_last_ack() {
        let socket = socket(TcpState::CloseWait, Some(4_004_000_000));
        assert_eq!(at_latest_ns(&socket), 4_004_000_000);
    }

    #[test]
    fn states_that_the_process_enters_have_no_age_yet() {
        for state in [TcpState::SynSent, TcpState::FinWait1, TcpState::LastAck] {
            assert_eq!(at_latest_ns(&socket(state, Some(9000))), 5_000_000_000);
        }
        assert_eq!(
            at_latest_ns(&socket(TcpState::CloseWait, None)),
            5_000_000_000
        );
    }
}

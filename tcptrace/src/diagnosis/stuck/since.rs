//! How long a socket has been in a state that it entered unseen: at least and at most.

use tcptrace_common::TcpState;

use crate::model::{
    socket::Protocol,
    stuck::look::{CLOCK_WRAPS_NS, Listed, Span},
};

/// Where the kernel's clock may have begun again, a moment that is nearer than this is believed: a
/// socket that is older by a whole round of the clock passes for one of the last hour during one hour
/// in 49 days.
const NEAR_NS: u64 = 3600 * 1_000_000_000;

/// The bounds of the moment, in ns of `CLOCK_MONOTONIC`, at which a listed socket entered its state.
#[must_use]
pub fn entered(socket: &Listed) -> Span {
    Span {
        earliest_ns: earliest_ns(socket),
        latest_ns: at_latest_ns(socket),
    }
}

/// The latest moment, in ns of `CLOCK_MONOTONIC`, at which a listed socket can have entered its
/// state.
///
/// A socket enters some states when it processes a segment from the peer with its acknowledgment
/// (`tcp_ack` sets `rcv_tstamp`, RFC 9293 section 3.10.7.4), so the last acknowledgment is not
/// older than the state. `SYN_SENT` begins with the first SYN, which the timer that sends it again tells.
/// The other states begin with a system call of the process, about which the acknowledgment says
/// nothing, so their age is only known from the listing on.
#[must_use]
pub fn at_latest_ns(socket: &Listed) -> u64 {
    if let (TcpState::SynSent, Some(syn)) = (socket.state, socket.first_syn) {
        return syn.latest_ns;
    }
    let last_ack_ns = socket
        .last_ack_ns
        .filter(|_| entered_by_segment(socket.state));
    last_ack_ns.unwrap_or(socket.listed_ns)
}

/// The earliest moment; `None` if nothing tells.
///
/// No data follows the peer's FIN, so the states that begin with it or after it are younger than the
/// last data (`tcp_event_data_recv` sets `lrcvtime`; before any data, the handshake does). `FIN_WAIT2`
/// begins when everything that this end sent is acknowledged (`lsndtime`). What MPTCP sends again on
/// another subflow counts as data there, so of MPTCP this tells nothing. Nor does it of a remainder.
fn earliest_ns(socket: &Listed) -> Option<u64> {
    if socket.protocol == Protocol::Mptcp || socket.details.remainder {
        return None;
    }
    match socket.state {
        TcpState::CloseWait | TcpState::Closing | TcpState::LastAck => socket.data_not_before_ns,
        TcpState::FinWait2 => socket.sent_not_before_ns,
        TcpState::SynSent => return socket.first_syn?.earliest_ns,
        _ => None,
    }
    .filter(|ns| is_of_this_round(*ns, socket.listed_ns))
}

/// Whether a moment that the kernel tells cannot be one of an earlier round of its clock.
fn is_of_this_round(moment_ns: u64, now_ns: u64) -> bool {
    now_ns < CLOCK_WRAPS_NS || now_ns.saturating_sub(moment_ns) < NEAR_NS
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

    use super::*;
    use crate::fixtures::{end, listed};

    const NOW_NS: u64 = 5_000_000_000;

    fn socket(state: TcpState, last_ack_ns: Option<u64>) -> Listed {
        Listed {
            state,
            listed_ns: NOW_NS,
            last_ack_ns,
            data_not_before_ns: Some(1),
            sent_not_before_ns: Some(2),
            ..listed(1, end("10.0.0.1", 1), end("10.0.0.2", 2), 0)
        }
    }

    fn earliest(state: TcpState) -> Option<u64> {
        entered(&socket(state, None)).earliest_ns
    }

    #[test]
    fn close_wait_is_as_old_as_the_last_ack() {
        let socket = socket(TcpState::CloseWait, Some(4_004_000_000));
        assert_eq!(at_latest_ns(&socket), 4_004_000_000);
    }

    #[test]
    fn states_that_the_process_enters_have_no_least_age_yet() {
        for state in [TcpState::SynSent, TcpState::FinWait1, TcpState::LastAck] {
            assert_eq!(at_latest_ns(&socket(state, Some(9000))), NOW_NS);
        }
        assert_eq!(at_latest_ns(&socket(TcpState::CloseWait, None)), NOW_NS);
    }

    #[test]
    fn no_data_follows_a_fin() {
        for state in [TcpState::CloseWait, TcpState::Closing, TcpState::LastAck] {
            assert_eq!(earliest(state), Some(1), "{state:?}");
        }
        assert_eq!(earliest(TcpState::FinWait2), Some(2));
        for state in [TcpState::Established, TcpState::FinWait1, TcpState::SynSent] {
            assert_eq!(earliest(state), None, "{state:?}");
        }
    }

    #[test]
    fn neither_remainders_nor_mptcp_tell_how_old_they_are_at_most() {
        let mut remainder = socket(TcpState::FinWait2, None);
        remainder.details.remainder = true;
        assert_eq!(entered(&remainder).earliest_ns, None);
        let whole = Listed {
            protocol: Protocol::Mptcp,
            ..socket(TcpState::CloseWait, None)
        };
        assert_eq!(entered(&whole).earliest_ns, None);
    }

    #[test]
    fn a_syn_tells_its_age() {
        let span = Span {
            earliest_ns: Some(7),
            latest_ns: 9,
        };
        let syn = Listed {
            first_syn: Some(span),
            ..socket(TcpState::SynSent, None)
        };
        assert_eq!(entered(&syn), span);
    }

    #[test]
    fn after_a_round_of_the_clock_only_what_is_near_is_believed() {
        let at = |ago_ns: u64| {
            let now_ns = CLOCK_WRAPS_NS + NOW_NS;
            let old = Listed {
                listed_ns: now_ns,
                data_not_before_ns: Some(now_ns - ago_ns),
                ..socket(TcpState::CloseWait, None)
            };
            entered(&old).earliest_ns.map(|ns| now_ns - ns)
        };
        assert_eq!(at(1000), Some(1000));
        assert_eq!(at(NEAR_NS), None);
    }
}

//! How long a socket has been in a state at the least, when nobody saw it enter.

use tcptrace_common::TcpState;

/// The latest moment, in ns of `CLOCK_MONOTONIC`, at which a socket can have entered the state with
/// this number.
///
/// `last_ack_ms` is `tcpi_last_ack_recv` as read no later than at `read_ns`. States that a segment
/// from the peer leads to are entered as its acknowledgment is processed (`tcp_ack` sets
/// `rcv_tstamp`, RFC 9293 section 3.10.7.4), so that the last acknowledgment is no older than the
/// state. The others begin with a call of the process, about which it says nothing, and their age
/// is known from now on.
///
/// The kernel counts that time in whole ticks from the tick before, hence up to one tick too much.
#[must_use]
pub fn at_latest_ns(state: u8, last_ack_ms: Option<u32>, read_ns: u64, tick_ns: u64) -> u64 {
    let by_segment = TcpState::from_number(state).is_some_and(entered_by_segment);
    let age_ns = match last_ack_ms {
        Some(ms) if by_segment => (u64::from(ms) * 1_000_000).saturating_sub(tick_ns),
        _ => 0,
    };
    read_ns.saturating_sub(age_ns)
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
    use super::at_latest_ns;
    use tcptrace_common::TcpState;

    const TICK: u64 = 4_000_000;

    #[test]
    fn close_wait_is_as_old_as_the_last_ack_less_a_tick() {
        let state = TcpState::CloseWait.number();
        let moment = at_latest_ns(state, Some(1000), 5_000_000_000, TICK);
        assert_eq!(moment, 4_000_000_000 + TICK);
    }

    #[test]
    fn an_ack_within_the_tick_gives_no_age() {
        let state = TcpState::CloseWait.number();
        assert_eq!(at_latest_ns(state, Some(2), 77, TICK), 77);
    }

    #[test]
    fn states_that_the_process_enters_have_no_age_yet() {
        for state in [TcpState::SynSent, TcpState::FinWait1, TcpState::LastAck] {
            assert_eq!(at_latest_ns(state.number(), Some(9000), 77, TICK), 77);
        }
        assert_eq!(
            at_latest_ns(TcpState::CloseWait.number(), None, 77, TICK),
            77
        );
    }
}

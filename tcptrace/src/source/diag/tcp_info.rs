//! Members of `struct tcp_info` (`include/uapi/linux/tcp.h`), and the moments that they tell.

use std::time::Duration;

use bytes::Buf as _;
use netlink_packet_sock_diag::inet::Timer;

use crate::{
    model::stuck::look::{Sent, Span},
    source::machine::clock::LATE_TICKS,
};

/// When and how an answer was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    /// The namespace that answered.
    pub netns: u32,
    /// A moment no later than the kernel's answer, in ns of `CLOCK_MONOTONIC`.
    pub asked_ns: u64,
    /// A moment no earlier than the kernel's answer, likewise.
    pub monotonic_ns: u64,
    /// The kernel's tick, in ns.
    pub tick_ns: u64,
}

/// `TCP_RESOURCE_PROBE_INTERVAL` of `include/net/tcp.h`, in ns.
const RETRY_NS: u64 = 500_000_000;

/// Where members lie in `struct tcp_info` (`include/uapi/linux/tcp.h`).
pub mod info {
    /// `tcpi_retransmits`, one byte.
    pub const RETRANSMITS: usize = 2;
    /// `tcpi_backoff`, one byte.
    pub const BACKOFF: usize = 4;
    /// `tcpi_rto`, in µs.
    pub const RTO: usize = 8;
    /// `tcpi_last_data_sent`, in ms.
    pub const LAST_DATA_SENT: usize = 44;
    /// `tcpi_last_data_recv`, in ms.
    pub const LAST_DATA_RECV: usize = 52;
    /// `tcpi_last_ack_recv`, in ms.
    pub const LAST_ACK_RECV: usize = 56;
    /// `tcpi_bytes_acked`.
    pub const BYTES_ACKED: usize = 120;
    /// `tcpi_bytes_received`.
    pub const BYTES_RECEIVED: usize = 128;
    /// `tcpi_notsent_bytes`.
    pub const NOTSENT_BYTES: usize = 144;
    /// `tcpi_data_segs_in`.
    pub const DATA_SEGS_IN: usize = 152;
    /// `tcpi_data_segs_out`.
    pub const DATA_SEGS_OUT: usize = 156;
    /// `tcpi_bytes_sent`.
    pub const BYTES_SENT: usize = 200;
    /// `tcpi_bytes_retrans`.
    pub const BYTES_RETRANS: usize = 208;
}

/// A member of `struct tcp_info`; `None` on a kernel that does not have it.
pub fn member_u32(info: &[u8], at: usize) -> Option<u32> {
    Some(info.get(at..at + 4)?.get_u32_ne())
}

/// The same, of 8 bytes.
pub fn member_u64(info: &[u8], at: usize) -> Option<u64> {
    Some(info.get(at..at + 8)?.get_u64_ne())
}

/// What the socket has sent; `send_queue`: written and not acknowledged.
pub fn sent(info: &[u8], send_queue: u32) -> Option<Sent> {
    let unsent = member_u32(info, info::NOTSENT_BYTES)?;
    Some(Sent {
        acked: member_u64(info, info::BYTES_ACKED)?,
        in_flight: send_queue.saturating_sub(unsent),
        unsent,
        bytes: member_u64(info, info::BYTES_SENT)?,
        again: member_u64(info, info::BYTES_RETRANS)?,
    })
}

/// The latest moment of something, given the kernel's number of ms since then. The kernel counts
/// whole ticks from the previous tick, so its number is up to one tick too large.
pub fn moment_ns(ms: u32, read: ReadAt) -> u64 {
    let ago_ns = (u64::from(ms) * 1_000_000).saturating_sub(read.tick_ns);
    read.monotonic_ns.saturating_sub(ago_ns)
}

/// The earliest moment of the same: see [`LATE_TICKS`]. The kernel leaves out parts of a ms.
pub fn not_before_ns(ms: u32, read: ReadAt) -> u64 {
    let ago_ns = (u64::from(ms) + 1) * 1_000_000 + LATE_TICKS * read.tick_ns;
    read.asked_ns.saturating_sub(ago_ns)
}

/// When a timer runs out that had so long left when the kernel answered, at the latest.
pub fn due_ns(left: Duration, read: ReadAt) -> Option<u64> {
    read.monotonic_ns
        .checked_add(left.as_nanos().try_into().ok()?)
}

/// When the first SYN was sent, from the timer that sends it again.
///
/// The timer starts at `icsk_rto`, which is doubled for each `icsk_backoff`; with
/// `tcp_syn_linear_timeouts` (6.5) the first times are alike. So often it has run out, and now it runs
/// until what is left of it. A SYN that this machine could not send is tried again sooner
/// (`TCP_RESOURCE_PROBE_INTERVAL`), and a timer may run out late: the sum is a lower bound. Without a
/// second SYN one timer is an upper one, late by an eighth at most (`kernel/time/timer.c`).
pub fn first_syn(timer: Option<&Timer>, tcp_info: &[u8], read: ReadAt) -> Option<Span> {
    let Some(Timer::Retransmit(left, _)) = timer else {
        return None;
    };
    let left_ns = u64::try_from(left.as_nanos()).ok()?;
    let rto_ns = u64::from(member_u32(tcp_info, info::RTO)?) * 1000;
    let (again, doubled) = (
        *tcp_info.get(info::RETRANSMITS)?,
        *tcp_info.get(info::BACKOFF)?,
    );
    let first_ns = rto_ns.checked_shr(doubled.into()).unwrap_or(0);
    let alike = u64::from(again.saturating_sub(doubled));
    let before_ns = first_ns.min(RETRY_NS).saturating_mul(alike).saturating_add(
        first_ns.saturating_mul(1_u64.checked_shl(doubled.into()).unwrap_or(1) - 1),
    );
    // In ms, rounded down, and up to a tick too late.
    let so_far_ns = rto_ns.saturating_sub(left_ns.saturating_add(1_000_000 + read.tick_ns));
    Some(Span {
        earliest_ns: (again == 0).then(|| {
            let longest_ns = rto_ns + rto_ns / 8 + LATE_TICKS * read.tick_ns;
            read.asked_ns.saturating_sub(longest_ns)
        }),
        latest_ns: (read.monotonic_ns).saturating_sub(before_ns.saturating_add(so_far_ns)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const READ: ReadAt = ReadAt {
        netns: 7,
        asked_ns: 100 * SECOND,
        monotonic_ns: 100 * SECOND,
        tick_ns: 4_000_000,
    };

    /// The span, as ages in ms, of a SYN that was sent again so often, with so many of the times
    /// doubled, if its timer of `rto_s` has `left_ms` to run.
    fn ages(again: u8, doubled: u8, rto_s: u32, left_ms: u64) -> (Option<u64>, u64) {
        let mut info = [0; 64];
        (info[info::RETRANSMITS], info[info::BACKOFF]) = (again, doubled);
        info[info::RTO..][..4].copy_from_slice(&(rto_s * 1_000_000).to_ne_bytes());
        let timer = Timer::Retransmit(Duration::from_millis(left_ms), again);
        let span = first_syn(Some(&timer), &info, READ).expect("it runs");
        let age_ms = |at_ns| (READ.monotonic_ns - at_ns) / 1_000_000;
        (span.earliest_ns.map(age_ms), age_ms(span.latest_ns))
    }

    #[test]
    fn doubled_times_add_up() {
        // Sent at 0, 1, 3 and 7 s; now is 10 s.
        assert_eq!(ages(3, 3, 8, 5000), (None, 9995));
        // With four times alike: at 0, 1, 2, 3, 4, 5 and 7 s; now is 8 s. Those may have been half a
        // second each.
        assert_eq!(ages(6, 2, 4, 3000), (None, 2000 + 3000 + 995));
    }

    #[test]
    fn the_first_timer_is_an_upper_bound() {
        assert_eq!(ages(0, 0, 1, 400), (Some(1153), 595));
    }

    #[test]
    fn nothing_makes_it_panic() {
        for (again, doubled) in [(0, 255), (255, 0), (255, 255), (64, 63), (65, 64)] {
            let (_, at_least_ms) = ages(again, doubled, 120, 0);
            assert!(at_least_ms <= 100_000, "{again} {doubled}");
        }
        assert_eq!(first_syn(None, &[], READ), None);
        let timer = Timer::Retransmit(Duration::MAX, 0);
        assert_eq!(first_syn(Some(&timer), &[0; 64], READ), None);
    }
}

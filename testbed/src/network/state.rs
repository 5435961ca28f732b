//! TCP states by the kernel's numbers.

/// Open in both directions.
pub const ESTABLISHED: u8 = 1;
/// Connecting, no answer yet.
pub const SYN_SENT: u8 = 2;
/// Closed on this side, not acknowledged yet.
pub const FIN_WAIT1: u8 = 4;
/// Closed on this side and acknowledged; the other side is still open.
pub const FIN_WAIT2: u8 = 5;
/// Dead.
pub const CLOSE: u8 = 7;
/// The other side closed, this one has not.
pub const CLOSE_WAIT: u8 = 8;
/// Both closed, the last acknowledgement is missing.
pub const LAST_ACK: u8 = 9;
/// Closed on both sides at once, the acknowledgement is missing.
pub const CLOSING: u8 = 11;

/// The kernel's name of a state.
pub(super) fn name(state: u8) -> &'static str {
    match state {
        ESTABLISHED => "ESTABLISHED",
        SYN_SENT => "SYN_SENT",
        FIN_WAIT2 => "FIN_WAIT2",
        CLOSE => "CLOSE",
        CLOSE_WAIT => "CLOSE_WAIT",
        LAST_ACK => "LAST_ACK",
        FIN_WAIT1 => "FIN_WAIT1",
        CLOSING => "CLOSING",
        _ => "another state",
    }
}

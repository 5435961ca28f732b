//! What a look shows about a socket beside what it is.

use crate::model::names::names;

/// The kernel timer that runs for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Timer {
    None,
    Retransmit,
    Keepalive,
    ZeroWindowProbe,
}

names!(Timer {
    None => "none",
    Retransmit => "retransmit",
    Keepalive => "keepalive",
    ZeroWindowProbe => "zero_window_probe",
});

/// What a look shows about a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// 0 if no process has it open.
    pub inode: u32,
    /// The user that created it.
    pub uid: u32,
    /// Bytes received and not read; of TCP in `CLOSE_WAIT` the FIN counts as one. `None` if this kernel
    /// does not show it (of MPTCP).
    pub recv_queue: Option<u32>,
    /// Bytes sent and not acknowledged; `None` likewise.
    pub send_queue: Option<u32>,
    /// The timer that runs; `None` if this kernel does not show it.
    pub timer: Option<Timer>,
    /// Whether keepalive is on (`SO_KEEPALIVE`).
    pub keepalive: Option<bool>,
    /// Bytes received from the peer.
    pub bytes_received: Option<u64>,
    /// Bytes that the peer has acknowledged; a SYN that this end sent counts as one.
    pub bytes_acked: Option<u64>,
    /// The latest moment at which the last data can have arrived, in ns of `CLOCK_MONOTONIC`.
    pub last_data_ns: Option<u64>,
    /// The last moment at which anything touched the connection, likewise (`tcp_mstamp`).
    pub touched_ns: Option<u64>,
    /// The latest moment at which the last data can have been sent, likewise; of a connection that has sent
    /// none, when it was made.
    pub last_sent_ns: Option<u64>,
    /// Segments with data that the peer sent.
    pub data_segments_in: Option<u32>,
    /// Segments with data that this end sent, those sent again included.
    pub data_segments_out: Option<u32>,
    /// How often the timer that waits for the peer was doubled (`icsk_backoff`).
    pub backoff: Option<u8>,
    /// When keepalive looks at the connection next, in ns of `CLOCK_MONOTONIC`: then a probe is due if nothing
    /// came meanwhile.
    pub keepalive_due_ns: Option<u64>,
    /// Its control group's id (5.8 and later).
    pub cgroup_id: Option<u64>,
    /// Of an MPTCP connection: how many subflows it has, if that is known.
    pub subflows: Option<u8>,
    /// Whether it is a remainder: its process has closed it, and the kernel keeps a small entry until
    /// the peer's FIN comes or `tcp_fin_timeout` is over.
    pub remainder: bool,
}

impl Details {
    /// Bytes that the process has read.
    #[must_use]
    pub fn bytes_read(&self) -> Option<u64> {
        self.bytes_received?.checked_sub(self.recv_queue?.into())
    }
}

/// What the kernel knew about a connection when it entered its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtEntry {
    /// For how many ns no data had come, within a tick or two of the kernel's clock.
    pub since_data_ns: u64,
    /// For how many ns none had been sent.
    pub since_sent_ns: u64,
    /// Bytes received from the peer, of which the FIN counts as one.
    pub bytes_received: u64,
    /// Bytes that the peer had acknowledged.
    pub bytes_acked: u64,
    /// Bytes received and not read, of which the FIN counts as one.
    pub unread: u32,
}

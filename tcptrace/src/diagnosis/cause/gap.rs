//! When the peer's FIN came, and how long after the last data.

use crate::model::socket::{Since, Socket};

/// Times that the kernel counts in ticks are right within so many ns: two ticks of 10 ms.
pub const TICKS_NS: u64 = 20_000_000;
/// Within this time after a send its acknowledgment has come, unless it was lost: two delayed ones (RFC 9293,
/// section 3.8.6.3), and a slow way.
const ACKNOWLEDGED_NS: u64 = 1_000_000_000;

/// Two bounds in ns, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least, or not before.
    pub least_ns: u64,
    /// At most, or not after.
    pub most_ns: u64,
}

impl Bounds {
    /// Whether both are below this.
    #[must_use]
    pub fn are_below(self, ns: u64) -> bool {
        self.most_ns < ns
    }
}

/// When the FIN came, in ns of `CLOCK_MONOTONIC`; `None` if nothing bounds it.
///
/// The last acknowledgment is the FIN's or a later one. It is the FIN's where nothing draws one afterwards: no
/// keepalive, no probe of a shut window, and no data that this end has sent since.
#[must_use]
pub fn fin(socket: &Socket) -> Option<Bounds> {
    let latest_ns = match socket.since {
        Since::Exact(ns) => {
            return Some(Bounds {
                least_ns: ns,
                most_ns: ns,
            });
        }
        Since::AtLatest(ns) => ns,
    };
    let details = socket.details.as_ref()?;
    let data_ns = details.last_data_ns?.min(latest_ns);
    let draws_none = details.keepalive == Some(false) && details.send_queue == Some(0);
    let is_fins = draws_none
        && details.last_sent_ns.is_some_and(|sent_ns| {
            sent_ns <= data_ns + TICKS_NS || sent_ns + ACKNOWLEDGED_NS <= latest_ns
        });
    Some(Bounds {
        least_ns: if is_fins { latest_ns } else { data_ns },
        most_ns: latest_ns,
    })
}

/// How long after the last data from the peer its FIN came, in ns.
#[must_use]
pub fn gap(socket: &Socket) -> Option<Bounds> {
    if let Some(known) = &socket.at_entry {
        return Some(Bounds {
            least_ns: known.since_data_ns,
            most_ns: known.since_data_ns,
        });
    }
    let data_ns = socket.details.as_ref()?.last_data_ns?;
    let fin = fin(socket)?;
    // Two readings of the kernel's clock differ by a tick where they mean one moment.
    let after = |ns: u64| match ns.saturating_sub(data_ns) {
        ns if ns <= TICKS_NS => 0,
        ns => ns,
    };
    Some(Bounds {
        least_ns: after(fin.least_ns),
        most_ns: after(fin.most_ns),
    })
}

/// Whether data was sent when the FIN came or later; `None` if that cannot be told.
#[must_use]
pub fn sent_since(socket: &Socket) -> Option<bool> {
    let details = socket.details.as_ref()?;
    if details.data_segments_out == Some(0) {
        return Some(false);
    }
    if let (Some(known), Some(acked), Some(queued)) = (
        &socket.at_entry,
        details.bytes_acked,
        details.send_queue.map(u64::from),
    ) && acked > known.bytes_acked + queued.max(1)
        && details.last_sent_ns.is_none()
    {
        return Some(true);
    }
    let sent_ns = details.last_sent_ns?;
    let fin = fin(socket)?;
    if sent_ns + TICKS_NS < fin.least_ns {
        Some(false)
    } else if sent_ns > fin.most_ns + TICKS_NS {
        Some(true)
    } else if fin.least_ns + TICKS_NS >= fin.most_ns {
        // When the FIN came, as far as the clock tells.
        Some(true)
    } else {
        None
    }
}

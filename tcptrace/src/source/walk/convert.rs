//! Converts what the walk writes about sockets to the model's types.

use std::sync::Arc;

use tcptrace_common::{IPPROTO_MPTCP, SocketRecord, TcpOffsets, TcpState};

use crate::{
    model::{
        owner::{Holder, Via},
        socket::{Details, Endpoint, Family, Protocol, Timer},
        stuck::look::{DeadSocket, Descriptor, Listed, Listening, Sent, Waiting},
    },
    source::{
        bpf::socket::{endpoint, family},
        machine::clock::LATE_TICKS,
    },
};

/// `icsk_pending` of `include/net/inet_connection_sock.h`.
mod pending {
    pub const RETRANSMIT: u8 = 1;
    pub const PROBE: u8 = 3;
    pub const LOSS_PROBE: u8 = 5;
    pub const REORDERING: u8 = 6;
}

/// What the records of a walk mean on this kernel.
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    /// The members that this kernel has.
    pub tcp: TcpOffsets,
    /// The kernel's tick, in ns.
    pub tick_ns: u64,
    /// Whether the kernel tells how many subflows an MPTCP connection has.
    pub counts_subflows: bool,
}

fn ends(record: &SocketRecord, family: Family) -> (Endpoint, Endpoint) {
    let port = match record.local_port {
        0 => record.bound_port,
        port => port,
    };
    (
        endpoint(family, record.local, port),
        endpoint(family, record.remote, record.remote_port),
    )
}

/// The kernel numbers the inodes of sockets with 32 bits (`get_next_ino`).
#[allow(clippy::cast_possible_truncation)]
fn inode(record: &SocketRecord) -> u32 {
    record.inode as u32
}

/// The names of processes, each kept once.
#[derive(Debug, Default)]
pub struct Names {
    last: Option<([u64; 2], Arc<str>)>,
}

impl Names {
    /// The name in a record: mostly the one of the record before.
    fn of(&mut self, record: &SocketRecord) -> Arc<str> {
        match &self.last {
            Some((words, name)) if *words == record.comm => Arc::clone(name),
            _ => {
                let name: Arc<str> = name(record.comm).into();
                self.last = Some((record.comm, Arc::clone(&name)));
                name
            }
        }
    }
}

/// The process and descriptor of a record.
#[must_use]
pub fn descriptor(record: &SocketRecord, names: &mut Names) -> Descriptor {
    Descriptor {
        inode: record.inode,
        holder: Holder {
            pid: record.pid,
            tid: Some(record.tid).filter(|tid| *tid != 0),
            fd: Some(record.fd),
            via: Via::Descriptor,
            comm: names.of(record),
        },
    }
}

/// A name up to its NUL.
#[must_use]
pub fn name(words: [u64; 2]) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&words[1].to_ne_bytes());
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

impl Meaning {
    /// The connection in a record.
    #[must_use]
    pub fn listed(&self, record: &SocketRecord) -> Option<Listed> {
        let family = family(record.family)?;
        let (local, remote) = ends(record, family);
        let tcp = &self.tcp;
        let is_mptcp = record.protocol == IPPROTO_MPTCP;
        // Of an MPTCP connection without subflows nothing was read.
        let has_times = !is_mptcp || record.subflow != 0;
        let has = |of_mptcp, of_tcp| (if is_mptcp { of_mptcp } else { of_tcp }) != 0;
        Some(Listed {
            netns: record.netns,
            // The kernel gives MPTCP connections that of their listener.
            cookie: Some(record.cookie).filter(|cookie| *cookie != 0 && !is_mptcp),
            interface: record.bound_interface,
            protocol: if is_mptcp {
                Protocol::Mptcp
            } else {
                Protocol::Tcp
            },
            family,
            local,
            remote,
            state: TcpState::from_number(record.state)?,
            listed_ns: record.now_ns,
            last_ack_ns: (self.moment(tcp.rcv_tstamp, record, record.ticks_since_ack))
                .filter(|_| has_times),
            data_not_before_ns: self
                .not_before(tcp.icsk_lrcvtime, record, record.ticks_since_data)
                .filter(|_| has_times),
            // Only sock_diag is asked for these.
            sent_not_before_ns: None,
            first_syn: None,
            backlog: Some(record.backlog),
            sent: self.sent(record).filter(|_| !is_mptcp),
            server_side: (is_mptcp && tcp.mptcp_server_side != 0)
                .then_some(record.server_side != 0),
            details: Details {
                inode: inode(record),
                uid: record.uid,
                recv_queue: has(tcp.mptcp_bytes_consumed, tcp.copied_seq)
                    .then(|| beyond(record.rcv_nxt, record.copied_seq)),
                send_queue: has(tcp.mptcp_snd_una, tcp.snd_una)
                    .then(|| beyond(record.write_seq, record.snd_una)),
                timer: self.timer(record).filter(|_| has_times),
                keepalive: self.known(self.tcp.skc_flags, || {
                    record.sock_flags & SocketRecord::KEEPOPEN != 0
                }),
                bytes_received: has(tcp.mptcp_bytes_received, tcp.bytes_received)
                    .then_some(record.bytes_received),
                bytes_acked: has(0, tcp.bytes_acked).then_some(record.bytes_acked),
                last_data_ns: (self.moment(tcp.icsk_lrcvtime, record, record.ticks_since_data))
                    .filter(|_| has_times),
                touched_ns: self.touched_ns(record),
                // Before it is connected the kernel has no such time.
                last_sent_ns: (self.moment(tcp.lsndtime, record, record.ticks_since_sent))
                    .filter(|_| has_times && record.state != TcpState::SynSent.number()),
                // Of an MPTCP connection they would be one subflow's.
                data_segments_in: has(0, tcp.data_segs_in).then_some(record.data_segments_in),
                data_segments_out: has(0, tcp.data_segs_out).then_some(record.data_segments_out),
                backoff: (self.known(tcp.icsk_backoff, || record.backoff)).filter(|_| has_times),
                keepalive_due_ns: self.keepalive_due_ns(record).filter(|_| has_times),
                cgroup_id: Some(record.cgroup).filter(|id| *id != 0),
                subflows: (is_mptcp && self.counts_subflows).then_some(record.subflows),
                remainder: false,
            },
        })
    }

    /// The listener in a record.
    #[must_use]
    pub fn listening(&self, record: &SocketRecord) -> Option<Listening> {
        let (local, _) = ends(record, family(record.family)?);
        Some(Listening {
            netns: record.netns,
            interface: record.bound_interface,
            transparent: None,
            local,
            v6_only: None,
            inode: inode(record),
            queued: record.queued,
            backlog: record.backlog,
        })
    }

    /// The connection in the queue of the listener with this inode.
    #[must_use]
    pub fn waiting(&self, record: &SocketRecord, listener: u64) -> Option<Waiting> {
        let (local, remote) = ends(record, family(record.family)?);
        Some(Waiting {
            listener: u32::try_from(listener).ok()?,
            netns: record.netns,
            local,
            remote,
        })
    }

    /// The closed socket in a record; `None` if it is one that was never connected and never tried
    /// to be: fresh, bound, refused while the process waited, or disconnected. Of those that were,
    /// the peer's port is left and the socket is not [`SocketRecord::UNCONNECTED`].
    #[must_use]
    pub fn dead(&self, record: &SocketRecord) -> Option<DeadSocket> {
        let never_connected = match record.socket_state {
            SocketRecord::CONNECTED => false,
            // After a connect that did not wait it stays so, until the process asks again: once the peer has answered,
            // it was a connection.
            SocketRecord::CONNECTING => record.rcv_nxt == 0,
            _ => return None,
        };
        if record.remote_port == 0 {
            return None;
        }
        Some(DeadSocket {
            listed: self.listed(record)?,
            never_connected,
            error: record.error,
            fin_came: self.known(self.tcp.skc_flags, || {
                record.sock_flags & SocketRecord::DONE != 0
            }),
        })
    }

    fn known<T>(&self, offset: u32, value: impl FnOnce() -> T) -> Option<T> {
        (offset != 0).then(value)
    }

    /// The latest moment of something that was that many ticks ago. The kernel counts whole ticks
    /// from the previous tick, so the number is up to one tick too large.
    fn moment(&self, offset: u32, record: &SocketRecord, ticks: u32) -> Option<u64> {
        let ago_ns = u64::from(ticks).saturating_sub(1) * self.tick_ns;
        self.known(offset, || record.now_ns.saturating_sub(ago_ns))
    }

    /// The earliest moment of the same: see [`LATE_TICKS`].
    fn not_before(&self, offset: u32, record: &SocketRecord, ticks: u32) -> Option<u64> {
        let ago_ns = (u64::from(ticks) + LATE_TICKS) * self.tick_ns;
        self.known(offset, || record.now_ns.saturating_sub(ago_ns))
    }

    /// When the timer of keepalive runs out. Without keepalive it is used for other things.
    fn keepalive_due_ns(&self, record: &SocketRecord) -> Option<u64> {
        let tcp = &self.tcp;
        if [tcp.skc_flags, tcp.keepalive_timer, tcp.keepalive_expires].contains(&0)
            || record.sock_flags & SocketRecord::KEEPOPEN == 0
            || record.keepalive_timer == 0
        {
            return None;
        }
        let ticks = i64::from(record.ticks_to_keepalive.cast_signed());
        let ns = ticks.saturating_mul(i64::try_from(self.tick_ns).unwrap_or(i64::MAX));
        Some(record.now_ns.saturating_add_signed(ns))
    }

    fn touched_ns(&self, record: &SocketRecord) -> Option<u64> {
        let ns = record.touched_us.saturating_mul(1000);
        self.known(self.tcp.tcp_mstamp, || ns).filter(|ns| *ns != 0)
    }

    fn sent(&self, record: &SocketRecord) -> Option<Sent> {
        let tcp = &self.tcp;
        let all = [
            tcp.bytes_acked,
            tcp.bytes_sent,
            tcp.bytes_retrans,
            tcp.snd_nxt,
            tcp.snd_una,
            tcp.write_seq,
        ];
        (!all.contains(&0)).then(|| Sent {
            acked: record.bytes_acked,
            in_flight: beyond(record.snd_nxt, record.snd_una),
            unsent: beyond(record.write_seq, record.snd_nxt),
            bytes: record.bytes_sent,
            again: record.bytes_retrans,
        })
    }

    fn timer(&self, record: &SocketRecord) -> Option<Timer> {
        if self.tcp.icsk_pending == 0 {
            return None;
        }
        match record.pending {
            pending::RETRANSMIT | pending::LOSS_PROBE | pending::REORDERING => {
                Some(Timer::Retransmit)
            }
            pending::PROBE => Some(Timer::ZeroWindowProbe),
            _ if self.tcp.keepalive_timer == 0 => None,
            _ if record.keepalive_timer != 0 => Some(Timer::Keepalive),
            _ => Some(Timer::None),
        }
    }
}

/// How far one sequence number is beyond another; 0 if it is not.
fn beyond(later: u32, earlier: u32) -> u32 {
    let distance = later.wrapping_sub(earlier).cast_signed();
    u32::try_from(distance).unwrap_or(0)
}

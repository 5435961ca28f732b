//! What records of a walk mean.

use tcptrace_common::{AF_INET, IPPROTO_MPTCP, IPPROTO_TCP, SocketRecord, TcpOffsets, TcpState};

use crate::{
    model::socket::Timer,
    source::walk::convert::{Meaning, Names, descriptor},
};

fn meaning() -> Meaning {
    let mut tcp = TcpOffsets::default();
    (tcp.rcv_tstamp, tcp.icsk_pending, tcp.keepalive_timer) = (1, 1, 1);
    tcp.copied_seq = 1;
    Meaning {
        tcp,
        tick_ns: 4_000_000,
        counts_subflows: true,
    }
}

fn record() -> SocketRecord {
    SocketRecord {
        inode: 99,
        family: AF_INET,
        protocol: IPPROTO_TCP,
        state: TcpState::CloseWait.number(),
        socket_state: SocketRecord::CONNECTED,
        bound_port: 80,
        remote_port: 4000,
        rcv_nxt: 5,
        copied_seq: u32::MAX - 4,
        now_ns: 100_000_000_000,
        ticks_since_ack: 250,
        comm: [u64::from_ne_bytes(*b"java\0\0\0\0"), 0],
        ..SocketRecord::default()
    }
}

#[test]
fn a_record_is_read_whole() {
    let listed = meaning().listed(&record()).expect("a connection");
    assert_eq!((listed.local.port, listed.remote.port), (80, 4000));
    assert_eq!(listed.details.recv_queue, Some(10));
    // This kernel does not show it.
    assert_eq!(listed.details.send_queue, None);
    // 1 s ago less a tick.
    assert_eq!(listed.last_ack_ns, Some(99_004_000_000));
    assert_eq!((listed.cookie, listed.sent), (None, None));
    assert_eq!(listed.details.timer, Some(Timer::None));
    assert_eq!(listed.details.keepalive, None);
    let held = descriptor(&record(), &mut Names::default());
    assert_eq!(&*held.holder.comm, "java");
}

#[test]
fn what_was_sent_and_what_is_due_is_read_across_the_wrap_of_the_clock() {
    let mut all = meaning();
    let tcp = &mut all.tcp;
    (tcp.lsndtime, tcp.data_segs_in, tcp.data_segs_out) = (1, 1, 1);
    (tcp.icsk_backoff, tcp.keepalive_expires, tcp.skc_flags) = (1, 1, 1);
    let jiffies = 10_u32;
    let record = SocketRecord {
        // Both sides of the wrap.
        ticks_since_sent: jiffies.wrapping_sub(u32::MAX - 239),
        ticks_to_keepalive: 260_u32.wrapping_sub(jiffies),
        data_segments_in: 3,
        data_segments_out: 4,
        backoff: 5,
        keepalive_timer: 1,
        sock_flags: SocketRecord::KEEPOPEN,
        ..record()
    };
    let details = |record: &SocketRecord| all.listed(record).expect("a connection").details;
    let shown = details(&record);
    assert_eq!(shown.last_sent_ns, Some(99_004_000_000));
    assert_eq!(
        (shown.data_segments_in, shown.data_segments_out),
        (Some(3), Some(4))
    );
    assert_eq!(shown.backoff, Some(5));
    assert_eq!(shown.keepalive_due_ns, Some(101_000_000_000));
    // The timer is late: 4 ticks after it.
    let late = SocketRecord {
        ticks_to_keepalive: (u32::MAX - 1).wrapping_sub(2),
        ..record
    };
    assert_eq!(details(&late).keepalive_due_ns, Some(99_984_000_000));
    for (keepalive_timer, sock_flags) in [(0, SocketRecord::KEEPOPEN), (1, 0)] {
        let record = SocketRecord {
            keepalive_timer,
            sock_flags,
            ..record
        };
        assert_eq!(details(&record).keepalive_due_ns, None);
    }
    let unconnected = SocketRecord {
        state: TcpState::SynSent.number(),
        ..record
    };
    assert_eq!(details(&unconnected).last_sent_ns, None);
    let mptcp = SocketRecord {
        protocol: IPPROTO_MPTCP,
        subflow: 1,
        ..record
    };
    let shown = details(&mptcp);
    assert_eq!(shown.last_sent_ns, Some(99_004_000_000));
    assert_eq!((shown.data_segments_in, shown.backoff), (None, Some(5)));
    // What this kernel does not have.
    let shown = meaning().listed(&record).expect("a connection").details;
    assert_eq!((shown.last_sent_ns, shown.backoff), (None, None));
    assert_eq!(
        (shown.data_segments_in, shown.keepalive_due_ns),
        (None, None)
    );
}

#[test]
fn only_what_was_connected_or_tried_to_be_is_dead() {
    let dead = |socket_state, remote_port, rcv_nxt| {
        let record = SocketRecord {
            state: TcpState::Close.number(),
            socket_state,
            remote_port,
            rcv_nxt,
            ..record()
        };
        meaning().dead(&record).map(|dead| dead.never_connected)
    };
    assert_eq!(dead(SocketRecord::CONNECTED, 4000, 7), Some(false));
    assert_eq!(dead(SocketRecord::CONNECTING, 4000, 0), Some(true));
    // The peer had answered a connect that did not wait.
    assert_eq!(dead(SocketRecord::CONNECTING, 4000, 7), Some(false));
    assert_eq!(dead(SocketRecord::UNCONNECTED, 4000, 7), None);
    assert_eq!(dead(SocketRecord::CONNECTED, 0, 7), None);
}

#[test]
fn a_timer_that_the_kernel_hides_is_unknown() {
    let mut hidden = meaning();
    hidden.tcp.keepalive_timer = 0;
    assert_eq!(
        hidden.listed(&record()).and_then(|one| one.details.timer),
        None
    );
    let waits = SocketRecord {
        pending: 3,
        ..record()
    };
    assert_eq!(
        hidden.listed(&waits).and_then(|one| one.details.timer),
        Some(Timer::ZeroWindowProbe)
    );
}

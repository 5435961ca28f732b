//! Converts what the kernel side keeps and reports to the model's types.

use tcptrace_common::{WatchedEntry, WatchedExit};

use crate::{
    model::{
        socket::AtEntry,
        stuck::look::{Entered, Exit},
    },
    source::bpf::socket,
};

/// The socket that entered the state; `None` for a family that TCP does not run on. `tick_ns`: the kernel's tick.
#[must_use]
pub fn entered(entry: &WatchedEntry, tick_ns: u64) -> Option<Entered> {
    let known = &entry.known;
    Some(Entered {
        at_entry: (known.known != 0).then(|| AtEntry {
            since_data_ns: u64::from(known.ticks_since_data) * tick_ns,
            since_sent_ns: u64::from(known.ticks_since_sent) * tick_ns,
            bytes_received: known.bytes_received,
            bytes_acked: known.bytes_acked,
            unread: known.unread,
        }),
        ..socket::entered(&entry.socket)?
    })
}

/// The socket that left it, from a record as it is in memory; `None` for one of another size, which the program
/// does not write.
#[must_use]
pub fn exit(record: &[u8]) -> Option<Exit> {
    if record.len() != size_of::<WatchedExit>() {
        return None;
    }
    // SAFETY: as many bytes as the record has, of integers without padding, at any alignment.
    let record = unsafe { record.as_ptr().cast::<WatchedExit>().read_unaligned() };
    let entered = socket::entered(&record.socket)?;
    Some(Exit {
        cookie: entered.cookie,
        netns: entered.netns,
        local: entered.local,
        remote: entered.remote,
        since_ns: entered.since_ns,
        left_ns: record.left_ns,
    })
}

#[cfg(test)]
mod tests {
    use tcptrace_common::{AF_INET6, KnownAtEntry, WatchedSocket};

    use super::*;

    const SOCKET: WatchedSocket = WatchedSocket {
        since_ns: 5,
        cookie: 6,
        netns: 7,
        bound_interface: 0,
        family: AF_INET6,
        local_port: 80,
        remote_port: 4000,
        flags: 0,
        local: [0; 2],
        remote: [0; 2],
    };

    #[test]
    fn what_could_not_be_read_is_unknown() {
        let mut entry = WatchedEntry {
            socket: SOCKET,
            known: KnownAtEntry {
                bytes_received: 11,
                bytes_acked: 12,
                ticks_since_data: 175,
                ticks_since_sent: u32::MAX,
                unread: 1,
                known: 1,
            },
        };
        let found = entered(&entry, 4_000_000).expect("a socket");
        assert_eq!((found.since_ns, found.cookie), (5, Some(6)));
        let known = AtEntry {
            since_data_ns: 700_000_000,
            since_sent_ns: u64::from(u32::MAX) * 4_000_000,
            bytes_received: 11,
            bytes_acked: 12,
            unread: 1,
        };
        assert_eq!(found.at_entry, Some(known));
        entry.known = KnownAtEntry::default();
        let found = entered(&entry, 4_000_000).expect("a socket");
        assert_eq!(found.at_entry, None);
    }

    #[test]
    fn an_exit_is_read_whole_or_not_at_all() {
        let mut bytes = [0_u8; size_of::<WatchedExit>()];
        let record = WatchedExit {
            socket: SOCKET,
            left_ns: 9,
        };
        // SAFETY: the buffer has the record's size, and may have any alignment.
        unsafe {
            bytes
                .as_mut_ptr()
                .cast::<WatchedExit>()
                .write_unaligned(record)
        };
        let found = exit(&bytes).expect("a whole record");
        assert_eq!((found.since_ns, found.left_ns), (5, 9));
        assert_eq!((found.cookie, found.netns), (Some(6), Some(7)));
        assert_eq!((found.local.port, found.remote.port), (80, 4000));
        assert_eq!(exit(&bytes[1..]), None);
    }
}

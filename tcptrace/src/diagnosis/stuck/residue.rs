//! Sockets that are dead in the network and still open in a process: how and when they died.

use crate::{
    diagnosis::stuck::role::syns_acked,
    model::{
        owner::Holder,
        stuck::{
            look::DeadSocket,
            residue::{DiedBy, Residue},
        },
    },
};

/// The residue of a dead socket with these holders.
#[must_use]
pub fn residue(dead: &DeadSocket, holders: Vec<Holder>) -> Residue {
    let own_fin = sent_fin(dead);
    Residue {
        holders,
        family: dead.family,
        local: dead.local,
        remote: dead.remote,
        netns: dead.netns,
        inode: dead.inode,
        died_ns: dead.touched_ns,
        died_by: died_by(dead, own_fin),
        was_close_wait: match (dead.fin_came, own_fin) {
            (Some(true), Some(own_fin)) => Some(!own_fin),
            (Some(false), _) => Some(false),
            _ => None,
        },
        never_connected: dead.never_connected,
    }
}

/// What ended it, by the error that the kernel left for the process: `tcp_reset` leaves
/// `ECONNRESET`, in `CLOSE_WAIT` `EPIPE`; `tcp_write_err` leaves `ETIMEDOUT` or what an ICMP message
/// said last; `tcp_abort` leaves `ECONNABORTED`.
fn died_by(dead: &DeadSocket, own_fin: Option<bool>) -> DiedBy {
    let all_acked = dead.sent.is_some_and(|sent| sent.in_flight == 0);
    match i32::try_from(dead.error) {
        Ok(libc::ECONNRESET | libc::EPIPE) => DiedBy::Reset,
        Ok(libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH) => DiedBy::Timeout,
        Ok(libc::ECONNABORTED) => DiedBy::Destroyed,
        Ok(0) if dead.fin_came == Some(true) && own_fin == Some(true) && all_acked => {
            DiedBy::Closed
        }
        _ => DiedBy::Unknown,
    }
}

/// Whether this end has sent its FIN; `None` if the numbers do not tell. Beside the data a client has
/// sent a SYN. One number beside the data may be a client's SYN or a server's FIN: a backlog shows a
/// server.
fn sent_fin(dead: &DeadSocket) -> Option<bool> {
    let sent = dead.sent.filter(|_| !dead.never_connected)?;
    let is_server = dead.backlog.is_some_and(|backlog| backlog > 0);
    match (syns_acked(&sent, false), is_server) {
        (Some(0), _) | (Some(1), false) => Some(false),
        (Some(1), true) => Some(true),
        // Two numbers beside the data.
        _ => (syns_acked(&sent, true) == Some(1)).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{NETNS, end},
        model::{socket::Family, stuck::look::Sent},
    };

    fn dead(error: i32, fin_came: bool, numbers: u64, backlog: u32) -> DeadSocket {
        DeadSocket {
            inode: 7,
            netns: NETNS,
            family: Family::Ipv4,
            local: end("10.0.0.1", 80),
            remote: end("10.0.0.2", 4000),
            never_connected: false,
            error: error.cast_unsigned(),
            fin_came: Some(fin_came),
            backlog: Some(backlog),
            sent: Some(Sent {
                acked: 100 + numbers,
                in_flight: 0,
                unsent: 0,
                bytes: 100,
                again: 0,
            }),
            touched_ns: Some(5),
        }
    }

    #[test]
    fn the_error_tells_what_ended_it() {
        let by = |error| residue(&dead(error, true, 0, 128), Vec::new()).died_by;
        assert_eq!(by(libc::ECONNRESET), DiedBy::Reset);
        assert_eq!(by(libc::EPIPE), DiedBy::Reset);
        assert_eq!(by(libc::ETIMEDOUT), DiedBy::Timeout);
        assert_eq!(by(libc::ECONNABORTED), DiedBy::Destroyed);
        assert_eq!(by(libc::EIO), DiedBy::Unknown);
        assert_eq!(by(0), DiedBy::Unknown);
    }

    #[test]
    fn an_orderly_end_is_told_by_both_fins() {
        // A server's FIN; a client's SYN and FIN.
        for (numbers, backlog) in [(1, 128), (2, 0)] {
            let found = residue(&dead(0, true, numbers, backlog), Vec::new());
            assert_eq!(found.died_by, DiedBy::Closed);
            assert_eq!(found.was_close_wait, Some(false));
        }
        // A client that has read the error.
        let found = residue(&dead(0, true, 1, 0), Vec::new());
        assert_eq!(found.died_by, DiedBy::Unknown);
        assert_eq!(found.was_close_wait, Some(true));
    }

    #[test]
    fn close_wait_needs_the_peers_fin_and_none_of_ours() {
        let was = |fin, numbers, backlog| {
            residue(&dead(libc::EPIPE, fin, numbers, backlog), Vec::new()).was_close_wait
        };
        assert_eq!(was(true, 0, 128), Some(true));
        assert_eq!(was(true, 1, 0), Some(true));
        assert_eq!(was(false, 0, 128), Some(false));
        assert_eq!(was(true, 9, 128), None);
    }
}

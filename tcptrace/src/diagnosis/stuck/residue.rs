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
        family: dead.listed.family,
        local: dead.listed.local,
        remote: dead.listed.remote,
        netns: dead.listed.netns,
        inode: dead.listed.details.inode,
        died_ns: dead.listed.details.touched_ns,
        died_by: died_by(dead, own_fin),
        was_close_wait: was_close_wait(dead, own_fin),
        cgroups: Vec::new(),
        never_connected: dead.never_connected,
    }
}

/// Whether it was in `CLOSE_WAIT` when it died; `None` if unknown.
#[must_use]
pub fn died_in_close_wait(dead: &DeadSocket) -> Option<bool> {
    was_close_wait(dead, sent_fin(dead))
}

/// What ended it, by the error that the kernel left for the process: `tcp_reset` leaves
/// `ECONNRESET`, in `CLOSE_WAIT` `EPIPE`; `tcp_write_err` leaves `ETIMEDOUT` or what an ICMP message
/// said last; `tcp_abort` leaves `ECONNABORTED`.
fn died_by(dead: &DeadSocket, own_fin: Option<bool>) -> DiedBy {
    let all_acked = dead.listed.sent.is_some_and(|sent| sent.in_flight == 0);
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

/// Whether it was in `CLOSE_WAIT`: the peer's FIN had come, and none was sent. What `tcp_reset` leaves
/// tells it, too, until the process reads it.
fn was_close_wait(dead: &DeadSocket, own_fin: Option<bool>) -> Option<bool> {
    match i32::try_from(dead.error) {
        _ if dead.never_connected => None,
        Ok(libc::EPIPE) => Some(true),
        Ok(libc::ECONNRESET) => Some(false),
        _ if dead.fin_came == Some(false) => Some(false),
        _ => own_fin
            .filter(|_| dead.fin_came == Some(true))
            .map(|own_fin| !own_fin),
    }
}

/// Whether this end has sent its FIN; `None` if the numbers do not tell. Beside the data a client has
/// sent a SYN. One number beside the data may be a client's SYN or a server's FIN: a backlog shows a
/// server, but a server that called `listen(0)` has none. If nothing was under way when the connection
/// timed out or was destroyed, the number is no FIN: with both FINs acknowledged it would have been
/// closed.
fn sent_fin(dead: &DeadSocket) -> Option<bool> {
    let sent = dead.listed.sent.filter(|_| !dead.never_connected)?;
    let is_server = dead.listed.backlog.is_some_and(|backlog| backlog > 0);
    let was_open = [libc::ETIMEDOUT, libc::ECONNABORTED].contains(&dead.error.cast_signed());
    let quiet = was_open && sent.in_flight == 0;
    match syns_acked(&sent, false) {
        Some(0) => Some(false),
        Some(1) if is_server => Some(true),
        Some(1) => (quiet && dead.fin_came == Some(true)).then_some(false),
        // Two numbers beside the data.
        _ => (syns_acked(&sent, true) == Some(1)).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{end, listed},
        model::stuck::look::Sent,
    };

    fn dead(error: i32, fin_came: bool, numbers: u64, backlog: u32) -> DeadSocket {
        let mut listed = listed(7, end("10.0.0.1", 80), end("10.0.0.2", 4000), 0);
        listed.backlog = Some(backlog);
        listed.sent = Some(Sent {
            acked: 100 + numbers,
            in_flight: 0,
            unsent: 0,
            bytes: 100,
            again: 0,
        });
        DeadSocket {
            listed,
            never_connected: false,
            error: error.cast_unsigned(),
            fin_came: Some(fin_came),
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
        // A client that has read the error, or a server of `listen(0)` that was closed.
        let found = residue(&dead(0, true, 1, 0), Vec::new());
        assert_eq!(found.died_by, DiedBy::Unknown);
        assert_eq!(found.was_close_wait, None);
    }

    #[test]
    fn close_wait_needs_the_peers_fin_and_none_of_ours() {
        let was = |error, fin, numbers, backlog| {
            residue(&dead(error, fin, numbers, backlog), Vec::new()).was_close_wait
        };
        for error in [0, libc::ETIMEDOUT] {
            assert_eq!(was(error, true, 0, 128), Some(true));
            assert_eq!(was(error, true, 1, 128), Some(false));
            assert_eq!(was(error, true, 2, 0), Some(false));
            assert_eq!(was(error, false, 0, 128), Some(false));
            assert_eq!(was(error, true, 9, 128), None);
        }
        for error in [libc::ETIMEDOUT, libc::ECONNABORTED] {
            assert_eq!(was(error, true, 1, 0), Some(true));
        }
    }

    #[test]
    fn a_reset_leaves_another_error_in_close_wait() {
        // Even where the numbers do not tell.
        for (error, expected) in [(libc::EPIPE, true), (libc::ECONNRESET, false)] {
            let found = residue(&dead(error, true, 1, 0), Vec::new());
            assert_eq!(found.was_close_wait, Some(expected));
        }
    }

    #[test]
    fn a_fin_under_way_is_not_taken_for_a_syn() {
        let mut last_ack = dead(libc::ETIMEDOUT, true, 1, 0);
        let sent = last_ack.listed.sent.as_mut().expect("given");
        (sent.acked, sent.in_flight) = (100, 1);
        assert_eq!(residue(&last_ack, Vec::new()).was_close_wait, None);
    }
}

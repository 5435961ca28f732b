//! Which side of its connection a socket is.

use tcptrace_common::TcpState;

use crate::model::{
    socket::Role,
    stuck::look::{Entered, Listed, Sent},
};

/// The role, from what the kernel keeps for the life of a socket.
///
/// A connection inherits its listener's backlog (`sk_clone_lock` copies `sk_max_ack_backlog`), so a
/// backlog shows a server. A backlog of 0 shows nothing: the listener may have called `listen(0)`.
/// Then the sequence numbers tell: see [`syns_acked`].
#[must_use]
pub fn role_of(listed: &Listed, entered: Option<&Entered>) -> Role {
    if listed.state == TcpState::SynSent {
        return Role::Client;
    }
    match listed.server_side {
        Some(true) => return Role::Server,
        Some(false) => return Role::Client,
        None => {}
    }
    let waits = listed.details.inode == 0
        && matches!(listed.state, TcpState::CloseWait | TcpState::Established);
    let syns = listed
        .sent
        .and_then(|sent| syns_acked(&sent, has_sent_fin(listed.state, &sent)));
    let from_listener = listed.backlog.is_some_and(|backlog| backlog > 0)
        || entered.and_then(|entered| entered.from_listener) == Some(true);
    match syns {
        _ if waits => Role::Server,
        // Also of a socket that listened before it connected.
        Some(1) => Role::Client,
        _ if from_listener => Role::Server,
        Some(0) => Role::Server,
        _ => Role::Unknown,
    }
}

/// How many SYNs of this end the peer has acknowledged: 1 for a client, 0 for a server.
///
/// `bytes_acked` of `struct tcp_sock` counts sequence numbers, of which a SYN and a FIN take one
/// each (RFC 9293 section 3.4). A client counts its SYN (`tcp_rcv_synsent_state_process`); a
/// server's begins after it (`tcp_create_openreq_child`). `None` where the numbers do not add up, as
/// for a socket that was restored.
#[must_use]
pub fn syns_acked(sent: &Sent, fin_sent: bool) -> Option<u64> {
    let data = sent.bytes.checked_sub(sent.again)?;
    let numbers = sent.acked.checked_add(sent.in_flight.into())?;
    let rest = numbers
        .checked_sub(data)?
        .checked_sub(u64::from(fin_sent))?;
    (rest <= 1).then_some(rest)
}

/// Whether a socket in this state has sent its FIN: it is queued behind all data.
fn has_sent_fin(state: TcpState, sent: &Sent) -> bool {
    let closed = !matches!(state, TcpState::CloseWait | TcpState::Established);
    closed && sent.unsent == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{end, entered, listed};

    fn socket(backlog: Option<u32>, sent: Option<Sent>) -> Listed {
        Listed {
            backlog,
            sent,
            ..listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60)
        }
    }

    /// 100 bytes, of which 20 are in flight and 10 were sent again; a client's SYN counts, too.
    fn sent(is_client: bool) -> Option<Sent> {
        Some(Sent {
            acked: 80 + u64::from(is_client),
            in_flight: 20,
            unsent: 5,
            bytes: 110,
            again: 10,
        })
    }

    fn role(backlog: Option<u32>, sent: Option<Sent>) -> Role {
        role_of(&socket(backlog, sent), None)
    }

    #[test]
    fn an_inherited_backlog_makes_a_server() {
        assert_eq!(role(Some(128), None), Role::Server);
        assert_eq!(role(Some(128), sent(false)), Role::Server);
    }

    #[test]
    fn without_a_backlog_the_acknowledged_syn_tells() {
        for backlog in [None, Some(0)] {
            assert_eq!(role(backlog, sent(true)), Role::Client);
            assert_eq!(role(backlog, sent(false)), Role::Server);
            assert_eq!(role(backlog, None), Role::Unknown);
        }
    }

    #[test]
    fn a_listener_that_connects_is_a_client() {
        assert_eq!(role(Some(128), sent(true)), Role::Client);
    }

    #[test]
    fn numbers_that_do_not_add_up_say_nothing() {
        let mut odd = sent(true).expect("given");
        odd.acked += 1;
        assert_eq!(role(Some(0), Some(odd)), Role::Unknown);
        odd.again = odd.bytes + 1;
        assert_eq!(role(Some(0), Some(odd)), Role::Unknown);
    }

    #[test]
    fn a_fin_counts_once_it_is_sent() {
        let mut last = socket(Some(0), sent(false));
        last.state = TcpState::LastAck;
        assert_eq!(role_of(&last, None), Role::Server);
        let sent = last.sent.as_mut().expect("given");
        (sent.unsent, sent.in_flight) = (0, sent.in_flight + 1);
        assert_eq!(role_of(&last, None), Role::Server);
    }

    #[test]
    fn what_was_seen_at_the_transition_helps_where_nothing_else_is_known() {
        let socket = socket(None, None);
        let mut seen = entered(&socket, 60);
        for (from_listener, expected) in [
            (Some(true), Role::Server),
            // It may be a connection of listen(0).
            (Some(false), Role::Unknown),
            (None, Role::Unknown),
        ] {
            seen.from_listener = from_listener;
            assert_eq!(role_of(&socket, Some(&seen)), expected);
        }
    }
}

//! Which side of its connection a socket is, and which listener it came from.

use crate::model::{
    socket::{Endpoint, Role, common_form},
    stuck::look::{Entered, Listed, Listening, Look},
};

/// The role, from a value that the kernel keeps for the life of a socket: a child of a listener
/// inherits the listener's backlog (`sk_clone_lock` copies `sk_max_ack_backlog`), a socket that
/// connected has none. Without this value, a listener on the same address and port identifies a
/// server; a client then cannot be distinguished from a server whose listener is gone.
#[must_use]
pub fn role_of(look: &Look, listed: &Listed, entered: Option<&Entered>) -> Role {
    let by_holder = || {
        let descriptors = look.held.as_ref()?.of(listed.details.inode);
        Some(descriptors.first()?.backlog? > 0)
    };
    let listens = || listener_of(&look.listening, listed.netns, listed.local).is_some();
    match entered
        .and_then(|entered| entered.from_listener)
        .or_else(by_holder)
    {
        Some(true) => Role::Server,
        // Its listener may have called listen(0).
        _ if listens() => Role::Server,
        Some(false) => Role::Client,
        None => Role::Unknown,
    }
}

/// The listener that a connection to `local` went to: one on exactly that address takes precedence
/// over one on all addresses. If several share the port (`SO_REUSEPORT`), it is the one with
/// connections waiting, if only one has any; otherwise the socket may belong to any of them, and
/// the result is `None`.
#[must_use]
pub fn listener_of(all: &[Listening], netns: u32, local: Endpoint) -> Option<&Listening> {
    let rank = |listening: &&Listening| {
        (listening.netns == netns && listening.local.port == local.port)
            .then(|| fit(listening, local))
            .flatten()
    };
    let best = all.iter().filter_map(|l| rank(&l)).min()?;
    let fitting: Vec<_> = all
        .iter()
        .filter(|listening| rank(listening) == Some(best))
        .collect();
    if let [only] = fitting[..] {
        return Some(only);
    }
    let mut waiting = fitting.into_iter().filter(|listening| listening.queued > 0);
    let first = waiting.next()?;
    waiting.next().is_none().then_some(first)
}

/// How closely a listener matches, best first; `None` if it cannot have taken the connection.
fn fit(listening: &Listening, local: Endpoint) -> Option<u8> {
    let (bound, wanted) = (listening.local.address, local.address);
    if common_form(bound) == common_form(wanted) {
        return Some(0);
    }
    if !bound.is_unspecified() {
        return None;
    }
    let speaks_v4 = common_form(wanted).to_ipv4_mapped().is_some();
    match (bound.is_ipv4(), speaks_v4) {
        (true, true) | (false, false) => Some(1),
        (false, true) if listening.v6_only != Some(true) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NETNS, end, entered, held, holder, listed, listening, look};
    use crate::model::stuck::look::Descriptors;

    fn role(backlog: Option<u32>, listener: Option<Listening>) -> Role {
        let socket = listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60);
        let mut look = look();
        look.held = Some(Descriptors::new(vec![held(
            &socket,
            backlog,
            holder(1, "x", 3),
        )]));
        look.listening.extend(listener);
        role_of(&look, &socket, None)
    }

    #[test]
    fn what_was_seen_at_the_transition_tells_without_a_holder() {
        let socket = listed(1, end("10.0.0.1", 80), end("10.0.0.2", 9999), 60);
        let mut seen = entered(&socket, 60);
        for (from_listener, expected) in [
            (Some(true), Role::Server),
            (Some(false), Role::Client),
            (None, Role::Unknown),
        ] {
            seen.from_listener = from_listener;
            assert_eq!(role_of(&look(), &socket, Some(&seen)), expected);
        }
    }

    #[test]
    fn an_inherited_backlog_makes_a_server() {
        assert_eq!(role(Some(128), None), Role::Server);
        assert_eq!(role(Some(0), None), Role::Client);
        assert_eq!(role(None, None), Role::Unknown);
    }

    #[test]
    fn a_listener_on_the_port_makes_a_server_too() {
        assert_eq!(
            role(Some(0), Some(listening("0.0.0.0", 80, 5, 0))),
            Role::Server
        );
        assert_eq!(
            role(None, Some(listening("10.0.0.1", 80, 5, 0))),
            Role::Server
        );
        assert_eq!(
            role(None, Some(listening("10.0.0.9", 80, 5, 0))),
            Role::Unknown
        );
    }

    fn found(listeners: Vec<Listening>, local: &str) -> Option<u32> {
        let mut look = look();
        look.listening = listeners;
        listener_of(&look.listening, NETNS, end(local, 80)).map(|listening| listening.inode)
    }

    #[test]
    fn the_closest_listener_wins() {
        let any4 = listening("0.0.0.0", 80, 1, 0);
        let any6 = listening("::", 80, 2, 0);
        let exact = listening("10.0.0.1", 80, 3, 0);
        let other_port = listening("10.0.0.1", 81, 4, 0);
        let all = vec![any6.clone(), any4.clone(), exact, other_port];
        assert_eq!(found(all.clone(), "10.0.0.1"), Some(3));
        assert_eq!(found(all.clone(), "10.0.0.9"), Some(1));
        assert_eq!(found(all, "2001:db8::1"), Some(2));
        assert_eq!(found(vec![any6.clone()], "::ffff:10.0.0.1"), Some(2));
        assert_eq!(found(vec![any4], "2001:db8::1"), None);
        let only6 = Listening {
            v6_only: Some(true),
            ..any6
        };
        assert_eq!(found(vec![only6], "10.0.0.1"), None);
    }

    #[test]
    fn of_listeners_that_share_a_port_the_one_with_a_queue_is_meant() {
        let idle = listening("0.0.0.0", 80, 1, 0);
        let waiting = listening("0.0.0.0", 80, 2, 3);
        let waiting_too = listening("0.0.0.0", 80, 3, 1);
        assert_eq!(
            found(vec![idle.clone(), waiting.clone()], "10.0.0.1"),
            Some(2)
        );
        assert_eq!(found(vec![idle, waiting, waiting_too], "10.0.0.1"), None);
    }

    #[test]
    fn another_namespace_is_another_machine() {
        let mut elsewhere = listening("0.0.0.0", 80, 1, 0);
        elsewhere.netns = 1;
        assert_eq!(found(vec![elsewhere], "10.0.0.1"), None);
    }
}

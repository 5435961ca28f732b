//! The listener at which a connection waits that no process has accepted.

use std::collections::HashMap;

use crate::model::{
    owner::{Holder, Listener},
    socket::{Endpoint, common_form},
    stuck::look::{Descriptors, Listed, Listening, Waiting},
};

/// Listeners and their accept queues.
pub struct Listeners<'a> {
    listening: &'a [Listening],
    /// The inode of the listener in whose queue a connection is, by namespace and ends.
    queues: HashMap<(u32, Endpoint, Endpoint), u32>,
}

impl<'a> Listeners<'a> {
    /// Indexes the queues.
    #[must_use]
    pub fn new(listening: &'a [Listening], waiting: &[Waiting]) -> Self {
        let queues = waiting.iter();
        Self {
            listening,
            queues: queues
                .map(|one| ((one.netns, one.local, one.remote), one.listener))
                .collect(),
        }
    }

    /// Whether the connection was met in a queue.
    #[must_use]
    pub fn have(&self, socket: &Listed) -> bool {
        let place = (socket.netns, socket.local, socket.remote);
        self.queues.contains_key(&place)
    }

    /// The listener in whose queue the connection is. If its queue could not be read, every listener
    /// that may be meant.
    #[must_use]
    pub fn of(&self, socket: &Listed) -> Vec<&'a Listening> {
        let place = (socket.netns, socket.local, socket.remote);
        if let Some(inode) = self.queues.get(&place) {
            let listening = self.listening.iter();
            return listening.filter(|one| one.inode == *inode).collect();
        }
        let may_be_meant = |one: &&Listening| {
            let interface = [0, socket.interface].contains(&one.interface);
            let here = one.transparent == Some(true) || takes(one, socket.local);
            one.netns == socket.netns && one.queued > 0 && interface && here
        };
        self.listening.iter().filter(may_be_meant).collect()
    }

    /// The same with its holders: see [`Listener`].
    #[must_use]
    pub fn listener(
        &self,
        socket: &Listed,
        held: Option<&Descriptors>,
        in_order: impl Fn(&mut [Holder]),
    ) -> Option<Listener> {
        let candidates = self.of(socket);
        let first = candidates.first()?;
        let holders = held.map(|held| {
            let descriptors = candidates.iter().flat_map(|one| held.of(one.inode));
            let mut holders: Vec<_> = descriptors.map(|one| one.holder.clone()).collect();
            in_order(&mut holders);
            holders
        });
        let only = candidates.len() == 1;
        Some(Listener {
            holders,
            opener: None,
            queued: only.then_some(first.queued),
            backlog: only.then_some(first.backlog),
        })
    }
}

/// Whether the listener takes connections to this address and port.
fn takes(listening: &Listening, local: Endpoint) -> bool {
    let (bound, wanted) = (listening.local.address, local.address);
    if listening.local.port != local.port {
        return false;
    }
    if common_form(bound) == common_form(wanted) {
        return true;
    }
    let speaks_v4 = common_form(wanted).to_ipv4_mapped().is_some();
    bound.is_unspecified()
        && match (bound.is_ipv4(), speaks_v4) {
            (true, true) | (false, false) => true,
            (false, true) => listening.v6_only != Some(true),
            (true, false) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NETNS, end, listed, listening};

    fn found(listeners: &[Listening], waiting: &[Waiting], local: &str) -> Vec<u32> {
        let mut socket = listed(1, end(local, 80), end("10.0.0.2", 9999), 60);
        socket.details.inode = 0;
        let all = Listeners::new(listeners, waiting);
        let found = all.of(&socket).into_iter().map(|one| one.inode);
        found.collect()
    }

    #[test]
    fn the_queue_decides_whatever_the_addresses_say() {
        let exact = listening("10.0.0.1", 80, 1, 5);
        let elsewhere = listening("10.9.9.9", 15006, 2, 1);
        let waiting = Waiting {
            listener: 2,
            netns: NETNS,
            local: end("10.0.0.1", 80),
            remote: end("10.0.0.2", 9999),
        };
        assert_eq!(found(&[exact, elsewhere], &[waiting], "10.0.0.1"), [2]);
    }

    #[test]
    fn without_it_all_that_have_something_queued_are_candidates() {
        let all = [
            listening("::", 80, 1, 2),
            listening("0.0.0.0", 80, 2, 1),
            listening("10.0.0.1", 80, 3, 1),
            listening("10.0.0.1", 80, 4, 0),
            listening("10.0.0.1", 81, 5, 1),
            listening("10.0.0.9", 80, 6, 1),
        ];
        assert_eq!(found(&all, &[], "10.0.0.1"), [1, 2, 3]);
        assert_eq!(found(&all, &[], "2001:db8::1"), [1]);
        assert_eq!(found(&all, &[], "::ffff:10.0.0.9"), [1, 2, 6]);
    }

    #[test]
    fn interfaces_and_namespaces_rule_out_and_transparent_ones_do_not() {
        let bound = Listening {
            interface: 7,
            ..listening("0.0.0.0", 80, 1, 1)
        };
        let elsewhere = Listening {
            netns: 1,
            ..listening("0.0.0.0", 80, 2, 1)
        };
        let transparent = Listening {
            transparent: Some(true),
            ..listening("0.0.0.0", 15006, 3, 1)
        };
        let only6 = Listening {
            v6_only: Some(true),
            ..listening("::", 80, 4, 1)
        };
        let all = [bound, elsewhere, transparent, only6];
        assert_eq!(found(&all, &[], "10.0.0.1"), [3]);
    }
}

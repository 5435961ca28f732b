//! How many sockets come into the looks and go out of them, within the filter.

use std::collections::HashMap;

use crate::model::{
    socket::{Endpoint, Socket},
    stuck::{flow::Flow, look::Tracing},
};

/// A socket: two with the same ends cannot be open at the same time.
type Place = (Option<u32>, Endpoint, Endpoint);

/// The sockets of the last look.
#[derive(Debug, Default)]
pub struct Passing {
    /// With the number of the look that showed each last, and whether it was seen to enter.
    present: HashMap<Place, (u64, bool)>,
    look: u64,
    flow: Flow,
}

impl Passing {
    /// Adds a socket of this look that passes the filter. Nobody asks about a single look; and where the
    /// kernel side counts by the whole filter, only about the sockets that it has not seen enter.
    pub fn add(&mut self, socket: &Socket, tracing: &Tracing) {
        let seen = socket.since.is_exact();
        if tracing.hook.is_none() || tracing.filtered && seen {
            return;
        }
        let identity = &socket.identity;
        let place = (identity.netns, identity.local, identity.remote);
        let before = self.present.insert(place, (self.look, seen));
        match before {
            Some(_) => {}
            None if self.look == 0 && !seen => self.flow.found += 1,
            None => self.flow.entered += 1,
        }
    }

    /// Ends the look: what it did not show has left. Returns the counts since the start.
    pub fn end_look(&mut self) -> Flow {
        let (look, flow) = (self.look, &mut self.flow);
        self.present.retain(|_, (shown, seen)| {
            let stays = *shown == look;
            flow.left += u64::from(!stays);
            flow.left_unseen += u64::from(!stays && !*seen);
            stays
        });
        self.look += 1;
        self.flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{end, listed, socket},
        model::{socket::Since, stuck::look::Hook},
    };

    fn one(port: u16, since: Since) -> Socket {
        let mut one = socket(listed(1, end("10.0.0.1", port), end("10.0.0.2", 80), 60));
        one.since = since;
        one
    }

    #[test]
    fn what_comes_and_goes_is_counted_once() {
        let mut passing = Passing::default();
        let (old, new, missed) = (
            one(1, Since::AtLatest(5)),
            one(2, Since::Exact(9)),
            one(3, Since::AtLatest(9)),
        );
        let tracing = Tracing {
            hook: Some(Hook::Btf),
            ..Tracing::default()
        };
        passing.add(&old, &tracing);
        let first = passing.end_look();
        assert_eq!((first.found, first.entered, first.left), (1, 0, 0));
        for socket in [&old, &new, &missed] {
            passing.add(socket, &tracing);
        }
        let second = passing.end_look();
        assert_eq!((second.found, second.entered, second.left), (1, 2, 0));
        let last = passing.end_look();
        assert_eq!((last.left, last.left_unseen), (3, 2));
    }

    #[test]
    fn what_the_kernel_side_counts_is_not_kept() {
        let mut passing = Passing::default();
        let filtered = Tracing {
            hook: Some(Hook::Btf),
            filtered: true,
            ..Tracing::default()
        };
        passing.add(&one(1, Since::AtLatest(5)), &filtered);
        passing.add(&one(2, Since::Exact(5)), &filtered);
        passing.add(&one(3, Since::AtLatest(5)), &Tracing::default());
        assert_eq!(passing.present.len(), 1);
    }
}

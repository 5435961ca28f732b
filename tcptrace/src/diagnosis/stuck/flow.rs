//! How many sockets come into the looks and go out of them, within the filter.

use std::collections::HashMap;

use crate::model::{
    socket::{Endpoint, Socket},
    stuck::flow::Flow,
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
    /// Adds a socket of this look that passes the filter.
    pub fn add(&mut self, socket: &Socket) {
        let identity = &socket.identity;
        let place = (identity.netns, identity.local, identity.remote);
        let seen = socket.since.is_exact();
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
        model::socket::Since,
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
        passing.add(&old);
        let first = passing.end_look();
        assert_eq!((first.found, first.entered, first.left), (1, 0, 0));
        for socket in [&old, &new, &missed] {
            passing.add(socket);
        }
        let second = passing.end_look();
        assert_eq!((second.found, second.entered, second.left), (1, 2, 0));
        let last = passing.end_look();
        assert_eq!((last.left, last.left_unseen), (3, 2));
    }
}

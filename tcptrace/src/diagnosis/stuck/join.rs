//! Joins the sockets that the kernel side saw enter with those that a look finds, each socket once.

use std::collections::HashMap;

use crate::model::{
    socket::{Endpoint, common_form},
    stuck::look::{Coverage, Entered, Listed},
};

/// One socket, known to one side or to both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// Seen to enter, and listed.
    Both(Entered, Listed),
    /// Listed only: it was in the state before the start.
    ListedOnly(Listed),
    /// Seen to enter, but it could not be listed.
    EnteredOnly(Entered),
}

type Tuple = (Endpoint, Endpoint);

fn tuple(local: Endpoint, remote: Endpoint) -> Tuple {
    let common = |end: Endpoint| Endpoint {
        address: common_form(end.address).into(),
        port: end.port,
    };
    (common(local), common(remote))
}

/// Joins the two by cookie or, if the kernel side has none, by namespace and addresses.
///
/// An entered socket that should have been listed but was not has left unseen (the kernel may skip
/// a run of the program) and is dropped. `entered` must have been read before `listed`.
pub fn join(
    entered: Vec<Entered>,
    listed: Vec<Listed>,
    coverage: &Coverage,
) -> impl Iterator<Item = Sighting> {
    let (mut by_cookie, mut by_tuple) = (HashMap::new(), HashMap::new());
    let (any, nameless) = (
        !entered.is_empty(),
        entered.iter().any(|socket| socket.cookie.is_none()),
    );
    for (index, socket) in listed.iter().enumerate().filter(|_| any) {
        if let Some(cookie) = socket.cookie {
            by_cookie.insert(cookie, index);
        }
        if nameless {
            let key = tuple(socket.local, socket.remote);
            by_tuple.entry(key).or_insert_with(Vec::new).push(index);
        }
    }
    let mut partners: HashMap<usize, Entered> = HashMap::new();
    let mut alone = Vec::new();
    for socket in entered {
        let found = match socket.cookie {
            Some(cookie) => by_cookie.get(&cookie).copied(),
            None => only_match(&socket, &listed, &by_tuple),
        };
        match found {
            Some(index) => drop(partners.insert(index, socket)),
            None if ought_to_be_listed(&socket, coverage) => {}
            None => alone.push(socket),
        }
    }
    let joined =
        giving_back(listed)
            .enumerate()
            .map(move |(index, listed)| match partners.remove(&index) {
                Some(entered) => Sighting::Both(entered, listed),
                None => Sighting::ListedOnly(listed),
            });
    joined.chain(alone.into_iter().map(Sighting::EnteredOnly))
}

/// All of them in order. Their memory is given back meanwhile: there may be a million of them, and each becomes
/// something larger.
fn giving_back(mut listed: Vec<Listed>) -> impl Iterator<Item = Listed> {
    const AT_ONCE: usize = 1 << 12;
    listed.reverse();
    std::iter::from_fn(move || {
        let next = listed.pop()?;
        if listed.len().is_multiple_of(AT_ONCE) {
            listed.shrink_to_fit();
        }
        Some(next)
    })
}

/// The one listed socket with these addresses; `None` if several namespaces have such a socket and
/// the right one is not known.
fn only_match(
    socket: &Entered,
    listed: &[Listed],
    by_tuple: &HashMap<Tuple, Vec<usize>>,
) -> Option<usize> {
    let candidates = by_tuple.get(&tuple(socket.local, socket.remote))?;
    let mut fitting = candidates.iter().copied().filter(|index| {
        socket
            .netns
            .is_none_or(|netns| netns == listed[*index].netns)
    });
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// Whether the look would show this socket if it were still in the watched state.
fn ought_to_be_listed(socket: &Entered, coverage: &Coverage) -> bool {
    match socket.netns {
        Some(netns) => coverage.complete.contains(&netns),
        // Its namespace is not known: then all namespaces were looked at.
        None => !coverage.complete.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{NETNS, end, entered, listed};

    fn one(cookie: u64) -> Listed {
        let port = 1000 + u16::try_from(cookie).expect("small");
        listed(cookie, end("10.0.0.1", port), end("10.0.0.2", 80), 60)
    }

    fn joined(entered: Vec<Entered>, listed: Vec<Listed>, coverage: &Coverage) -> Vec<Sighting> {
        join(entered, listed, coverage).collect()
    }

    fn complete() -> Coverage {
        Coverage {
            complete: [NETNS].into(),
        }
    }

    #[test]
    fn a_socket_that_both_know_is_listed_once() {
        let (socket, seen) = (one(1), entered(&one(1), 50));
        let found = joined(vec![seen.clone()], vec![socket.clone()], &complete());
        assert_eq!(found, [Sighting::Both(seen, socket)]);
    }

    #[test]
    fn without_a_cookie_addresses_and_namespace_tell() {
        let mut seen = entered(&one(1), 50);
        seen.cookie = None;
        let elsewhere = Listed {
            netns: 7,
            cookie: Some(99),
            ..one(1)
        };
        let found = joined(
            vec![seen.clone()],
            vec![elsewhere.clone(), one(1)],
            &complete(),
        );
        assert_eq!(
            found,
            [
                Sighting::ListedOnly(elsewhere.clone()),
                Sighting::Both(seen.clone(), one(1))
            ]
        );
        // Two namespaces have the same addresses and the right one is not known: neither socket
        // gets a time.
        seen.netns = None;
        let found = joined(vec![seen], vec![elsewhere.clone(), one(1)], &complete());
        assert_eq!(
            found,
            [
                Sighting::ListedOnly(elsewhere),
                Sighting::ListedOnly(one(1))
            ]
        );
    }

    #[test]
    fn what_ought_to_be_listed_and_is_not_has_left() {
        let seen = entered(&one(1), 50);
        assert_eq!(joined(vec![seen.clone()], vec![], &complete()), []);
        let alone = [Sighting::EnteredOnly(seen.clone())];
        assert_eq!(joined(vec![seen], vec![], &Coverage::default()), alone);
    }

    #[test]
    fn v4_mapped_and_v4_addresses_are_the_same_place() {
        let mut seen = entered(&one(1), 50);
        seen.cookie = None;
        let mapped = Listed {
            family: crate::model::socket::Family::Ipv6,
            local: end("::ffff:10.0.0.1", 1001),
            remote: end("::ffff:10.0.0.2", 80),
            ..one(1)
        };
        let found = joined(vec![seen.clone()], vec![mapped.clone()], &complete());
        assert_eq!(found, [Sighting::Both(seen, mapped)]);
    }

    proptest! {
        #[test]
        fn every_listed_socket_comes_out_once(
            in_list in prop::collection::hash_set(0u64..20, 0..20),
            in_map in prop::collection::hash_set(0u64..20, 0..20),
            cookies in any::<bool>(),
        ) {
            let listed: Vec<_> = in_list.iter().map(|cookie| one(*cookie)).collect();
            let seen: Vec<_> = in_map
                .iter()
                .map(|cookie| {
                    let mut seen = entered(&one(*cookie), 50);
                    if !cookies {
                        seen.cookie = None;
                    }
                    seen
                })
                .collect();
            let found = joined(seen, listed, &complete());
            let mut out: Vec<u64> = found
                .iter()
                .filter_map(|sighting| match sighting {
                    Sighting::Both(_, socket) | Sighting::ListedOnly(socket) => socket.cookie,
                    Sighting::EnteredOnly(_) => panic!("all were dumped"),
                })
                .collect();
            out.sort_unstable();
            let mut expected: Vec<u64> = in_list.into_iter().collect();
            expected.sort_unstable();
            prop_assert_eq!(out, expected);
        }
    }
}

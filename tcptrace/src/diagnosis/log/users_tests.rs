//! Tests the kernel side's rule about who has taken a socket over, with generated passes over descriptors and
//! calls whose truth is known: an innocent process is never named.

use proptest::prelude::*;
use tcptrace_common::{OwnerRecord, TrackedSocket};

/// The process that opened the socket, and others.
const OPENER: u32 = 1;
const PROCESSES: u32 = 4;

fn process(pid: u32) -> OwnerRecord {
    OwnerRecord {
        pid,
        started_ns: u64::from(pid) * 1000,
        known_by: OwnerRecord::FD,
        ..OwnerRecord::default()
    }
}

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    /// A pass finds it with these processes, in this order.
    Pass(Vec<u32>),
    /// A process makes a call.
    Call(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let some = prop::collection::vec(OPENER..=PROCESSES, 0..4);
    let event = prop_oneof![
        4 => some.prop_map(Event::Pass),
        1 => (OPENER..=PROCESSES).prop_map(Event::Call),
    ];
    prop::collection::vec(event, 1..12)
}

/// The socket and the number of the last pass after these events.
fn socket(events: &[Event]) -> (TrackedSocket, u32) {
    let mut socket = TrackedSocket {
        handed_over: 1,
        owners: [
            OwnerRecord::default(),
            process(OPENER),
            OwnerRecord::default(),
        ],
        ..TrackedSocket::default()
    };
    let mut last = 0;
    for event in events {
        match event {
            Event::Pass(holders) => {
                for pid in holders {
                    socket.found_with(&process(*pid), last + 1);
                }
                last += 1;
            }
            Event::Call(OPENER) => socket.used_by_owner(last),
            Event::Call(pid) => socket.taken_over_by(&process(*pid), last),
        }
    }
    (socket, last)
}

/// The only process among them, if it is one.
fn only(holders: &[u32]) -> Option<u32> {
    let first = *holders.first()?;
    holders.iter().all(|pid| *pid == first).then_some(first)
}

proptest! {
    #[test]
    fn an_innocent_process_is_never_named(events in events()) {
        let (socket, last) = socket(&events);
        let user = socket.user(last).map(|user| user.pid);
        let called = events.iter().rev().find_map(|event| match event {
            Event::Call(pid) => Some(*pid),
            Event::Pass(_) => None,
        });
        let found = events.iter().rev().find_map(|event| match event {
            Event::Pass(holders) => Some(&holders[..]),
            Event::Call(_) => None,
        });
        let alone = found.and_then(only);
        if matches!(events.last(), Some(Event::Call(OPENER))) {
            prop_assert_eq!(user, None);
        } else if let Some(user) = user {
            prop_assert_ne!(user, OPENER);
            prop_assert!(Some(user) == called || Some(user) == alone, "{user}");
        } else {
            // Who made the last call is named, unless it was the opener.
            prop_assert!(called.is_none_or(|pid| pid == OPENER), "{called:?}");
        }
    }

    #[test]
    fn the_only_holder_is_named_after_two_passes(before in events(), pid in 2..=PROCESSES) {
        let twice = [Event::Pass(vec![pid]), Event::Pass(vec![pid, pid])];
        let (socket, last) = socket(&[before, twice.to_vec()].concat());
        prop_assert_eq!(socket.user(last).map(|user| user.pid), Some(pid));
    }

    #[test]
    fn a_new_owner_is_not_its_own_user(before in events(), pid in 2..=PROCESSES) {
        let (mut socket, last) = socket(&[before, vec![Event::Pass(vec![pid])]].concat());
        socket.owners[1] = process(pid);
        socket.taken_over = 0;
        prop_assert_ne!(socket.user(last).map(|user| user.pid), Some(pid));
    }

    #[test]
    fn nobody_has_taken_over_what_its_opener_has(passes in prop::collection::vec(
        prop::collection::vec(2..=PROCESSES, 0..3), 1..6,
    )) {
        let with_opener = passes.into_iter().map(|mut holders| {
            holders.push(OPENER);
            Event::Pass(holders)
        });
        let (socket, last) = socket(&with_opener.collect::<Vec<_>>());
        prop_assert_eq!(socket.user(last), None);
    }
}

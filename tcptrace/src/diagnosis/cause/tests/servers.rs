//! The rules.

use super::*;
use crate::model::cause::{DescriptorUse, Waits};

#[test]
fn requests_that_nobody_reads_are_starved() {
    assert_eq!(said(&many(4, SERVER)).leak, Leak::Unknown);
    let said_of = said(&one_by_one(40, 100 * MS, later(SERVER)));
    assert_eq!(
        (said_of.leak, names(&said_of)),
        (Leak::Yes, vec![CauseName::Starved])
    );
    assert_eq!(
        said_of.causes[0].evidence[0],
        Evidence::NothingRead(Share { count: 40, of: 40 })
    );
    let taken = Plan {
        unread: 1,
        ..SERVER
    };
    let said_of = said(&many(4, later(taken)));
    assert_eq!(
        (said_of.leak, names(&said_of)),
        (Leak::Yes, vec![CauseName::Starved])
    );
}

/// A server that sends events learns only at the next one that nobody is there.
#[test]
fn what_was_answered_in_part_is_no_leak_for_sure() {
    let streaming = Plan {
        unread: 1,
        sent_before_ns: -100_000_000,
        segments: (1, 7),
        acked: 700,
        ..SERVER
    };
    let said = said(&many(4, streaming));
    assert_eq!(
        (said.leak, said.first()),
        (Leak::Unknown, Some(CauseName::Starved))
    );
}

#[test]
fn an_end_that_was_read_after_the_answer_is_ignored() {
    let said = said(&one_by_one(60, 100 * MS, ANSWERED));
    assert_eq!(
        (said.leak, names(&said)),
        (Leak::Yes, vec![CauseName::EofIgnored])
    );
}

#[test]
fn what_is_sent_after_the_fin_is_sending() {
    let streaming = Plan {
        sent_before_ns: -30_000_000_000,
        segments: (1, 40),
        ..ANSWERED
    };
    let said = said(&many(40, streaming));
    assert_eq!(said.leak, Leak::Unknown);
    assert_eq!(said.first(), Some(CauseName::Sending));
    assert!(names(&said).contains(&CauseName::EofIgnored));
}

#[test]
fn a_shut_window_is_sending() {
    let shut = Plan {
        unacknowledged: 90_000,
        backoff: 5,
        ..ANSWERED
    };
    let said = said(&many(30, shut));
    assert_eq!(
        (said.leak, said.first()),
        (Leak::Unknown, Some(CauseName::Sending))
    );
    assert!(said.causes[0].evidence.contains(&Evidence::WindowShut {
        share: Share { count: 30, of: 30 },
        doubled: 5
    }));
}

#[test]
fn without_an_answer_interest_decides() {
    let plans = many(
        10,
        later(Plan {
            acked: 0,
            segments: (1, 0),
            ..ANSWERED
        }),
    );
    let with = |interest: Option<u32>| {
        let interest = interest.map(|mask| (1..=10).map(|inode| (inode, Interest(mask))).collect());
        let clues = ProcessClues {
            interest: Some(interest.unwrap_or_default()),
            ..ProcessClues::default()
        };
        only(&said_with(look_at(&plans), clues))
    };
    let none = with(None);
    assert_eq!(
        (none.leak, none.first()),
        (Leak::Yes, Some(CauseName::EofIgnored))
    );
    let level = with(Some(0x19));
    assert_eq!(
        (level.leak, level.first()),
        (Leak::Unknown, Some(CauseName::Starved))
    );
    // Edge-triggered sets last until the socket is closed.
    let edge = with(Some(0x8000_2005));
    assert_eq!(
        (edge.leak, edge.first()),
        (Leak::Unknown, Some(CauseName::Starved))
    );
}

#[test]
fn a_queue_alone_is_never_accepted() {
    let waiting = Plan {
        is_accepted: false,
        ..SERVER
    };
    assert_eq!(said(&many(17, waiting)).leak, Leak::Unknown);
    let said = said(&many(17, later(waiting)));
    assert_eq!(
        (said.leak, names(&said)),
        (Leak::Yes, vec![CauseName::NeverAccepted])
    );
}

/// Below the limit of descriptors whoever accepts is held up; at the limit nothing can be accepted.
#[test]
fn a_queue_beside_sockets_is_explained_by_descriptors() {
    let mut plans = many(59, ANSWERED);
    plans.extend(many(
        31,
        Plan {
            is_accepted: false,
            ..SERVER
        },
    ));
    let with = |open, limit| {
        let clues = ProcessClues {
            descriptors: Some(DescriptorUse { open, limit }),
            ..ProcessClues::default()
        };
        only(&said_with(look_at(&plans), clues))
    };
    let (free, full) = (with(64, 1024), with(64, 64));
    assert_eq!(free.first(), Some(CauseName::Starved));
    assert_eq!(
        (full.leak, full.first()),
        (Leak::Yes, Some(CauseName::EofIgnored))
    );
    assert!(
        full.causes[0]
            .evidence
            .contains(&Evidence::NotAcceptedForLackOfDescriptors { unaccepted: 31 })
    );
}

#[test]
fn a_process_that_does_not_run_is_stopped() {
    for (state, frozen) in [
        ('T', Some(false)),
        ('t', None),
        ('S', Some(true)),
        ('D', Some(true)),
    ] {
        let mut look = look_at(&many(20, SERVER));
        for process in look.processes.values_mut() {
            (process.state, process.frozen) = (state, frozen);
        }
        let said = only(&said_with(look, ProcessClues::default()));
        assert_eq!(
            (said.leak, names(&said)),
            (Leak::Unknown, vec![CauseName::Stopped])
        );
    }
}

#[test]
fn who_began_after_the_last_data_has_inherited_them() {
    let young = |plans: &[Plan], after_ns: u64| {
        let mut look = look_at(plans);
        let last_ns = look
            .listed
            .iter()
            .filter_map(|one| one.details.last_data_ns)
            .max();
        for process in look.processes.values_mut() {
            process.began_ns = last_ns.map(|ns| ns + after_ns);
        }
        only(&said_with(look, ProcessClues::default()))
    };
    let plans = many(
        10,
        Plan {
            age_ns: 5 * SECOND,
            ..ANSWERED
        },
    );
    let said_of = young(&plans, SECOND);
    assert_eq!(
        (said_of.leak, names(&said_of)),
        (Leak::Yes, vec![CauseName::Inherited])
    );
    // A process that is made for each connection begins after its first data.
    let said_of = young(&plans[..1], SECOND);
    assert_eq!(
        (said_of.leak, said_of.first()),
        (Leak::Unknown, Some(CauseName::Inherited))
    );
    assert_ne!(young(&plans, 0).first(), Some(CauseName::Inherited));
}

/// A proxy that waits for an upstream for three minutes at most: then it answers, or gives up.
#[test]
fn who_waits_with_a_long_time_out_may_end_them_yet() {
    let said = |waits: Waits| {
        let clues = ProcessClues {
            waits: Some(waits),
            ..ProcessClues::default()
        };
        only(&said_with(look_at(&many(40, later(SERVER))), clues))
    };
    let waits = |threads, timed_s: &[u64], for_children| Waits {
        threads,
        timed_ns: timed_s.iter().map(|seconds| seconds * SECOND).collect(),
        for_children,
    };
    let one_of_one = said(waits(1, &[178], 0));
    assert_eq!(one_of_one.leak, Leak::Unknown);
    assert_eq!(
        one_of_one.leak_because,
        [Evidence::WaitsForTime {
            share: Share { count: 1, of: 1 },
            most_ns: 178 * SECOND,
        }]
    );
    assert_eq!(said(waits(31, &[], 30)).leak, Leak::Unknown);
    // An event loop that wakes up now and then, a thread that cleans up once an hour, workers that wait for ever.
    for other in [waits(1, &[5], 0), waits(20, &[3600], 0), waits(20, &[], 0)] {
        assert_eq!(said(other).leak, Leak::Yes);
    }
}

/// An event that is to come once, and is not asked for again after the answer.
#[test]
fn who_has_answered_and_does_not_look_again_has_forgotten_it_or_is_busy() {
    let answered = Plan {
        unread: 1,
        sent_before_ns: -2_000_000,
        segments: (1, 1),
        acked: 100,
        ..later(SERVER)
    };
    let said = |interest: &[(u32, u32)]| {
        let interest = interest
            .iter()
            .map(|(inode, events)| (*inode, Interest(*events)));
        let clues = ProcessClues {
            interest: Some(interest.collect()),
            ..ProcessClues::default()
        };
        only(&said_with(look_at(&many(2, answered)), clues))
    };
    let (ignored, starved) = (CauseName::EofIgnored, CauseName::Starved);
    for fired_or_elsewhere in [&[(1, 0x4000_0000), (2, 0x4000_0000)][..], &[(9, 0x19)]] {
        let said = said(fired_or_elsewhere);
        assert_eq!(
            (names(&said), said.leak),
            (vec![ignored, starved], Leak::Unknown)
        );
    }
    // Somebody is told again and again, and does not come; or who looks has no set.
    for waits_or_none in [&[(1, 0x19), (2, 0x19)][..], &[]] {
        let said = said(waits_or_none);
        assert_eq!(
            (names(&said), said.leak),
            (vec![starved, ignored], Leak::Unknown)
        );
    }
}

#[test]
fn what_was_never_answered_may_be_worked_on() {
    let unanswered = Plan {
        unread: 0,
        ..SERVER
    };
    let said = said(&many(4, unanswered));
    assert_eq!(names(&said), [CauseName::EofIgnored, CauseName::Starved]);
}

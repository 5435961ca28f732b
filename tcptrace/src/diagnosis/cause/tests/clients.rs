//! The rules.

use super::*;
use crate::model::cause::DescriptorUse;

#[test]
fn answers_that_nobody_gives_back_are_leased_and_a_leak() {
    let mut plans = one_by_one(100, 100 * MS, CLIENT);
    for plan in plans.iter_mut().step_by(3) {
        plan.unread = 0;
    }
    let said = said(&plans);
    assert_eq!(
        (said.leak, names(&said)),
        (Leak::Yes, vec![CauseName::Leased])
    );
    let evidence = &said.causes[0].evidence;
    let gap = Evidence::FinGap {
        share: Share {
            count: 100,
            of: 100,
        },
        least_ns: 0,
        most_ns: 0,
    };
    assert!(evidence.contains(&gap), "{evidence:#?}");
}

#[test]
fn a_body_that_nobody_reads_is_leased() {
    let big = Plan {
        unread: 26_000,
        received: 30_200,
        segments: (8, 1),
        ..CLIENT
    };
    let leased = vec![CauseName::Leased];
    let young = said(&one_by_one(60, 100 * MS, big));
    assert_eq!((young.leak, names(&young)), (Leak::Unknown, leased.clone()));
    let old = said(&one_by_one(60, 100 * MS, later(big)));
    assert_eq!((old.leak, names(&old)), (Leak::Yes, leased.clone()));
    // One read would take the rest of an error.
    let rest = Plan {
        unread: 80,
        received: 280,
        ..CLIENT
    };
    let young = said(&one_by_one(60, 100 * MS, rest));
    assert_eq!((young.leak, names(&young)), (Leak::Yes, leased));
}

/// Half of them are gone already: their descriptors are free.
#[test]
fn what_is_worked_off_one_by_one_is_no_leak_for_sure() {
    let rest = Plan {
        unread: 2861,
        received: 3061,
        ..CLIENT
    };
    let with = |open| {
        let clues = ProcessClues {
            descriptors: Some(DescriptorUse { open, limit: 1024 }),
            ..ProcessClues::default()
        };
        only(&said_with(look_at(&many(60, rest)), clues)).leak
    };
    assert_eq!((with(64), with(35)), (Leak::Yes, Leak::Unknown));
}

/// From one look it cannot be told from one that nobody reads, if much of it was read.
#[test]
fn a_slow_reader_is_no_leak_for_sure() {
    let slow = Plan {
        unread: 200_000,
        received: 3_000_000,
        segments: (900, 1),
        ..CLIENT
    };
    for plans in [many(1, slow), one_by_one(20, SECOND, slow)] {
        assert_eq!(said(&plans).leak, Leak::Unknown);
    }
    let alone = Plan {
        received: 210_000,
        ..slow
    };
    assert_eq!(said(&many(1, alone)).leak, Leak::Unknown);
}

#[test]
fn an_idle_time_out_of_the_server_decides_nothing() {
    let idle = Plan {
        gap_ns: 5 * SECOND,
        segments: (4, 4),
        ..CLIENT
    };
    let said_of = said(&one_by_one(30, 100 * MS, idle));
    assert_eq!(said_of.leak, Leak::Unknown);
    assert_eq!(names(&said_of), [CauseName::IdlePooled, CauseName::Leased]);
    let once = Plan {
        segments: (1, 1),
        ..idle
    };
    let said_of = said(&one_by_one(30, 100 * MS, once));
    assert_eq!(said_of.leak, Leak::Unknown);
    assert_eq!(names(&said_of), [CauseName::Leased, CauseName::IdlePooled]);
}

#[test]
fn a_peer_that_ended_says_nothing_about_who_holds_its_connections() {
    let plans: Vec<_> = (0..30)
        .map(|number| Plan {
            gap_ns: number * 300 * MS,
            ..CLIENT
        })
        .collect();
    let said = said(&plans);
    assert_eq!(said.leak, Leak::Unknown);
    assert_eq!(names(&said), [CauseName::IdlePooled, CauseName::Leased]);
    assert!(matches!(
        said.causes[0].evidence[0],
        Evidence::FinsTogether { .. }
    ));
}

#[test]
fn a_goodbye_is_no_answer() {
    let goodbye = Plan {
        sent_before_ns: 30_000_000_000,
        unread: 25,
        received: 400,
        segments: (3, 2),
        ..CLIENT
    };
    let said = said(&one_by_one(10, SECOND, goodbye));
    assert_eq!(said.leak, Leak::Unknown);
    assert_eq!(said.first(), Some(CauseName::IdlePooled));
}

/// All that came is the answer, however late.
#[test]
fn a_late_answer_in_one_segment_is_an_answer() {
    let late = Plan {
        sent_before_ns: 2_000_000_000,
        ..CLIENT
    };
    let said = said(&one_by_one(50, 100 * MS, late));
    assert_eq!(
        (said.leak, said.first()),
        (Leak::Yes, Some(CauseName::Leased))
    );
}

#[test]
fn what_was_never_used_is_idle() {
    for plan in [
        Plan {
            received: 1,
            segments: (0, 0),
            acked: 1,
            ..CLIENT
        },
        Plan {
            received: 90,
            segments: (1, 0),
            acked: 1,
            ..CLIENT
        },
    ] {
        let said = said(&many(20, plan));
        assert_eq!(
            (said.leak, said.first()),
            (Leak::Unknown, Some(CauseName::IdlePooled))
        );
    }
}

/// With keepalive the last acknowledgment is not the FIN's.
#[test]
fn with_keepalive_the_gap_is_unknown() {
    let plan = Plan {
        keepalive: true,
        gap_ns: 30 * SECOND,
        ..CLIENT
    };
    let said = said(&one_by_one(20, 100 * MS, plan));
    assert_eq!(said.leak, Leak::Unknown);
}

/// A collector of memory may close them yet, as long as more and more come: none is then as old as the fault.
#[test]
fn what_still_grows_is_no_leak_before_it_is_old() {
    let growing = |age_ns: u64| {
        let mut plans = one_by_one(60, SECOND, CLIENT);
        plans.push(Plan { age_ns, ..CLIENT });
        said(&plans)
    };
    assert_eq!(growing(40 * SECOND).leak, Leak::Yes);
    let said_of = growing(10 * SECOND);
    assert_eq!(said_of.leak, Leak::Unknown);
    assert!(said_of.leak_because.contains(&Evidence::StillGrowing));
    // Nor is a pool full that grows.
    let full = |said: &Diagnosis| {
        let is = |one: &Evidence| matches!(one, Evidence::AtOnce { .. });
        said.causes[0].evidence.iter().any(is)
    };
    let mut look = look_at(&one_by_one(60, SECOND, CLIENT));
    let watched = fixtures::watched();
    let said_of = |look: Look| {
        let mut snapshot = snapshot(look, &mut Tracker::once(TcpState::CloseWait), &watched);
        diagnose(&mut snapshot, &Clues::default(), None);
        only(&snapshot)
    };
    assert!(full(&said_of(look.clone())));
    let younger = listed(
        100,
        Plan {
            age_ns: SECOND,
            ..CLIENT
        },
    );
    look.listed.push(younger);
    let said_of = said_of(look);
    assert!(!full(&said_of));
    assert_eq!(said_of.leak, Leak::Unknown);
    assert_eq!(said(&one_by_one(60, SECOND, later(CLIENT))).leak, Leak::Yes);
}

//! The rules.

use super::*;
use crate::{diagnosis::cause::history::Past, model::stuck::look::Exit};

/// Looks two seconds apart.
struct Session {
    tracker: Tracker,
    history: History,
    looks: u64,
}

impl Session {
    fn new() -> Self {
        Self {
            tracker: Tracker::new(TcpState::CloseWait),
            history: History::default(),
            looks: 0,
        }
    }

    /// What is said when these are there, by number.
    fn look(&mut self, plans: &[(usize, Plan)], exits: Vec<Exit>) -> Vec<Diagnosis> {
        self.look_with(plans, exits, true)
    }

    /// The same where nobody listens any more.
    fn look_without_listener(&mut self, plans: &[(usize, Plan)]) -> Vec<Diagnosis> {
        self.look_with(plans, Vec::new(), false)
    }

    fn look_with(
        &mut self,
        plans: &[(usize, Plan)],
        exits: Vec<Exit>,
        listens: bool,
    ) -> Vec<Diagnosis> {
        let mut look = look_at(&plans.iter().map(|(_, plan)| *plan).collect::<Vec<_>>());
        for (one, (number, plan)) in look.listed.iter_mut().zip(plans) {
            *one = listed(*number, *plan);
        }
        let held = look
            .listed
            .iter()
            .map(|one| fixtures::held(one, fixtures::holder(PID, "app", one.details.inode)));
        look.held = Some(Descriptors::new(held.collect()));
        look.monotonic_ns += self.looks * 2 * SECOND;
        look.exits = exits;
        if !listens {
            look.listening = Vec::new();
        }
        self.looks += 1;
        let mut snapshot = snapshot(look, &mut self.tracker, &any_age());
        diagnose(&mut snapshot, &Clues::default(), Some(&mut self.history));
        let all = snapshot
            .groups
            .into_iter()
            .filter_map(|group| group.diagnosis);
        all.map(|one| *one).collect()
    }
}

fn numbered(numbers: std::ops::Range<usize>, plan: Plan) -> Vec<(usize, Plan)> {
    numbers.map(|number| (number, plan)).collect()
}

fn exit(number: usize, plan: Plan, left_ns: u64) -> Exit {
    let one = listed(number, plan);
    Exit {
        cookie: one.cookie,
        netns: Some(one.netns),
        local: one.local,
        remote: one.remote,
        since_ns: NOW_NS - plan.age_ns,
        left_ns,
    }
}

#[test]
fn where_none_of_the_first_is_left_it_is_traffic() {
    let looks = |exits: &dyn Fn(std::ops::Range<usize>) -> Vec<Exit>| {
        let mut session = Session::new();
        session.look(&numbered(0..5, CLIENT), Vec::new());
        session.look(&numbered(3..8, CLIENT), exits(0..3));
        let said = session.look(&numbered(6..11, CLIENT), exits(3..6));
        (said[0].leak, said[0].first())
    };
    let apart = |numbers: std::ops::Range<usize>| {
        let at = |number: usize| exit(number, CLIENT, NOW_NS + number as u64 * 300 * MS);
        numbers.map(at).collect()
    };
    assert_eq!(looks(&apart), (Leak::No, Some(CauseName::Churn)));
    // It is not known when they left: perhaps together, when memory was collected.
    assert_ne!(looks(&|_| Vec::new()).0, Leak::No);
}

#[test]
fn what_leaves_together_and_came_apart_was_collected() {
    let mut session = Session::new();
    let plan = |number: usize| Plan {
        age_ns: 3 * SECOND + number as u64 * 400 * MS,
        ..CLIENT
    };
    let all: Vec<_> = (0..10).map(|number| (number, plan(number))).collect();
    session.look(&all, Vec::new());
    let exits =
        (2..10).map(|number| exit(number, plan(number), NOW_NS + SECOND + number as u64 * MS));
    let said = session.look(&all[..2], exits.collect());
    assert_eq!(
        (said[0].leak, said[0].first()),
        (Leak::Unknown, Some(CauseName::GarbageCollected))
    );
}

#[test]
fn what_came_together_and_leaves_together_is_a_batch() {
    let mut session = Session::new();
    session.look(&numbered(0..10, CLIENT), Vec::new());
    let exits = (2..10).map(|number| exit(number, CLIENT, NOW_NS + SECOND));
    let said = session.look(&numbered(0..2, CLIENT), exits.collect());
    assert_ne!(said[0].first(), Some(CauseName::GarbageCollected));
    // They were served, late.
    assert_eq!(said[0].leak, Leak::Unknown);
}

#[test]
fn progress_is_no_leak() {
    let mut session = Session::new();
    let slow = Plan {
        unread: 90_000,
        received: 100_000,
        ..CLIENT
    };
    session.look(&numbered(0..10, slow), Vec::new());
    let further = Plan {
        unread: 80_000,
        ..slow
    };
    let said = session.look(&numbered(0..10, further), Vec::new());
    assert_eq!(
        (said[0].leak, said[0].first()),
        (Leak::No, Some(CauseName::Churn))
    );

    let mut session = Session::new();
    let sends = Plan {
        acked: 1000,
        ..ANSWERED
    };
    session.look(&numbered(0..10, sends), Vec::new());
    let said = session.look(
        &numbered(
            0..10,
            Plan {
                acked: 9000,
                ..sends
            },
        ),
        Vec::new(),
    );
    assert_eq!(
        (said[0].leak, said[0].first()),
        (Leak::No, Some(CauseName::Sending))
    );
}

/// A process that reads the end has read nothing.
#[test]
fn the_end_is_no_progress() {
    let mut session = Session::new();
    let unread = Plan {
        unread: 1,
        ..ANSWERED
    };
    session.look(&numbered(0..10, unread), Vec::new());
    let said = session.look(&numbered(0..10, ANSWERED), Vec::new());
    assert_eq!(
        (said[0].leak, said[0].first()),
        (Leak::Yes, Some(CauseName::EofIgnored))
    );
}

/// What was read once and then left alone is not being read.
#[test]
fn progress_is_forgotten() {
    let mut session = Session::new();
    let big = Plan {
        unread: 90_000,
        received: 100_000,
        ..CLIENT
    };
    session.look(&numbered(0..10, big), Vec::new());
    let further = Plan {
        unread: 80_000,
        ..big
    };
    let said = session.look(&numbered(0..10, further), Vec::new());
    assert_eq!(said[0].leak, Leak::No);
    session.looks += 40;
    let said = session.look(&numbered(0..10, further), Vec::new());
    assert_eq!(
        (said[0].leak, said[0].first()),
        (Leak::Yes, Some(CauseName::Leased))
    );
}

/// What left during a look is reported at the next one.
#[test]
fn an_exit_may_be_reported_late() {
    let mut session = Session::new();
    let plan = |number: usize| Plan {
        age_ns: 3 * SECOND + number as u64 * 400 * MS,
        ..CLIENT
    };
    let all: Vec<_> = (0..10).map(|number| (number, plan(number))).collect();
    session.look(&all, Vec::new());
    session.look(&all[..2], Vec::new());
    let exits = (2..10).map(|number| exit(number, plan(number), NOW_NS + 2 * SECOND));
    let said = session.look(&all[..2], exits.collect());
    assert_eq!(said[0].first(), Some(CauseName::GarbageCollected));
}

#[test]
fn a_leak_that_grows_says_when_descriptors_run_out() {
    let steady = Growth::Steady {
        sockets: 100,
        within_ns: 100 * SECOND,
    };
    let (soonest, latest) = runs_out(1000, steady).expect("it grows");
    assert!(soonest < 1000 * SECOND && latest > Some(1000 * SECOND));
    assert_eq!(runs_out(1000, Growth::None), None);
    // One may be chance.
    let one = Growth::Steady {
        sockets: 1,
        within_ns: SECOND,
    };
    assert_eq!(runs_out(10, one).map(|(_, latest)| latest), Some(None));
}

#[test]
fn growth_is_told_from_counts() {
    let of = |counts: &[usize]| {
        let counts = counts.iter().enumerate();
        let past = Past {
            counts: counts
                .map(|(at, count)| (at as u64 * SECOND, *count))
                .collect(),
            ..Past::default()
        };
        growth(&past)
    };
    assert_eq!(of(&[5]), None);
    assert_eq!(of(&[5, 5, 5]), Some(Growth::None));
    assert_eq!(
        of(&[5, 10, 15]),
        Some(Growth::Steady {
            sockets: 10,
            within_ns: 2 * SECOND
        })
    );
    assert_eq!(
        of(&[5, 10, 10, 10, 10]),
        Some(Growth::Plateau { for_ns: 3 * SECOND })
    );
    assert_eq!(
        of(&[5, 20, 3, 18, 2, 15]),
        Some(Growth::Sawtooth { falls: 2 })
    );
    assert_eq!(of(&[20, 15, 10]), Some(Growth::Shrinks));
}

/// A server that was told to end: it takes no more connections, and works off those that it has.
#[test]
fn who_works_off_what_is_left_is_no_leak() {
    let waits = Plan {
        unread: 35,
        received: 36,
        ..later(SERVER)
    };
    let at_work = Plan { unread: 1, ..waits };
    let mut session = Session::new();
    session.look(&numbered(0..20, waits), Vec::new());
    for done in 1..6 {
        let all: Vec<_> = (done..20)
            .map(|number| (number, if number < done + 2 { at_work } else { waits }))
            .collect();
        let said = session.look_without_listener(&all);
        if done > 4 {
            assert_eq!(
                (said[0].leak, names(&said[0])),
                (Leak::No, vec![CauseName::Churn])
            );
        }
    }
}

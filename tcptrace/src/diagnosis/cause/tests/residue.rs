//! The rules, on sockets that have died and are still open: the cause is that of sockets which are alive.

use super::*;
use crate::model::stuck::look::DeadSocket;

/// The look, of which these have died by a reset out of `CLOSE_WAIT`.
fn with_dead(plans: &[Plan], is_dead: impl Fn(usize) -> bool) -> Look {
    let mut look = look_at(plans);
    let mut dead = Vec::new();
    let mut alive = Vec::new();
    for (number, listed) in std::mem::take(&mut look.listed).into_iter().enumerate() {
        if !is_dead(number) {
            alive.push(listed);
            continue;
        }
        dead.push(DeadSocket {
            listed: Listed {
                state: TcpState::Close,
                ..listed
            },
            never_connected: false,
            error: libc::EPIPE.cast_unsigned(),
            fin_came: Some(true),
        });
    }
    (look.listed, look.dead) = (alive, Some(dead));
    look
}

fn only_group(look: Look) -> (usize, Diagnosis) {
    let snapshot = said_with(look, ProcessClues::default());
    let diagnosis = only(&snapshot);
    assert_eq!(snapshot.stuck(), snapshot.groups[0].sockets);
    (snapshot.groups[0].sockets, diagnosis)
}

/// As a client with keepalive on leaves it after a minute.
#[test]
fn a_leak_of_which_all_have_died_is_a_leak_of_the_same_cause() {
    let (sockets, said) = only_group(with_dead(&one_by_one(60, 10 * MS, CLIENT), |_| true));
    assert_eq!(sockets, 0);
    assert_eq!(
        (said.leak, names(&said)),
        (Leak::Yes, vec![CauseName::Leased])
    );
    assert_eq!(said.beside.residue, 60);
    let idle = Plan {
        gap_ns: 5 * SECOND,
        ..CLIENT
    };
    let (_, said) = only_group(with_dead(&many(60, idle), |_| true));
    assert_eq!(said.leak, Leak::Unknown);
    assert!(names(&said).contains(&CauseName::IdlePooled));
}

/// Where keepalive ends each after a minute, no socket gets old, and the process closes none all the same.
#[test]
fn those_that_died_say_how_long_it_goes_on() {
    let young = one_by_one(20, 100 * MS, SERVER);
    let (_, said) = only_group(with_dead(&young, |_| false));
    assert_eq!(
        (said.leak, said.first()),
        (Leak::Unknown, Some(CauseName::Starved))
    );
    let mut plans = young.clone();
    plans.extend(one_by_one(40, 100 * MS, later(SERVER)));
    let (sockets, said) = only_group(with_dead(&plans, |number| number >= young.len()));
    assert_eq!(sockets, 20);
    assert_eq!(
        (said.leak, said.first()),
        (Leak::Yes, Some(CauseName::Starved))
    );
    // A few that somebody forgot long ago do not make the others old.
    let mut plans = young.clone();
    plans.extend(one_by_one(3, 100 * MS, later(SERVER)));
    let (_, said) = only_group(with_dead(&plans, |number| number >= young.len()));
    assert_eq!(said.leak, Leak::Unknown);
}

/// The pool whose connections have died is still the cause.
#[test]
fn what_waits_follows_from_a_pool_that_is_all_residue() {
    let plan = Plan {
        age_ns: 90 * SECOND,
        ..CLIENT
    };
    let mut plans = one_by_one(50, 10 * MS, plan);
    plans.extend(one_by_one(127, 100 * MS, SERVER));
    let snapshot = said_with(
        with_dead(&plans, |number| number < 50),
        ProcessClues::default(),
    );
    let [pool, requests] = &snapshot.groups[..] else {
        panic!("two groups: {:#?}", snapshot.groups);
    };
    assert_eq!((pool.sockets, requests.sockets), (0, 127));
    let requests = requests.diagnosis.as_ref().expect("it was asked for");
    assert_eq!(requests.follows_from.map(|one| one.ends), Some(pool.ends));
}

/// A session does not count those that have died as having been served.
#[test]
fn a_session_that_sees_them_die_still_names_the_cause() {
    let plans = one_by_one(30, 10 * MS, CLIENT);
    let mut history = History::default();
    let mut tracker = Tracker::new(TcpState::CloseWait);
    let mut looked = |look: Look| {
        let mut snapshot = snapshot(look, &mut tracker, &any_age());
        diagnose(&mut snapshot, &Clues::default(), Some(&mut history));
        only(&snapshot)
    };
    looked(with_dead(&plans, |_| false));
    let later = |look: Look| Look {
        monotonic_ns: NOW_NS + 10 * SECOND,
        ..look
    };
    let said = looked(later(with_dead(&plans, |_| true)));
    assert_eq!(
        (said.leak, names(&said)),
        (Leak::Yes, vec![CauseName::Leased])
    );
}

//! The rules.

use super::*;

/// A server's request threads wait for a pool that leaks: the larger group is the consequence.
#[test]
fn a_pool_that_leaks_comes_before_the_requests_that_wait_for_it() {
    let mut plans = one_by_one(
        50,
        10 * MS,
        Plan {
            age_ns: 90 * SECOND,
            ..CLIENT
        },
    );
    plans.extend(one_by_one(127, 100 * MS, SERVER));
    let snapshot = said_with(look_at(&plans), ProcessClues::default());
    let [pool, requests] = &snapshot.groups[..] else {
        panic!("two groups: {:#?}", snapshot.groups);
    };
    assert_eq!((pool.sockets, requests.sockets), (50, 127));
    let (pool, requests) = (diagnosis(pool), diagnosis(requests));
    assert_eq!(
        (pool.leak, pool.first()),
        (Leak::Yes, Some(CauseName::Leased))
    );
    assert_eq!(requests.first(), Some(CauseName::Starved));
    let from = requests.follows_from.expect("it follows");
    assert_eq!(
        (from.pid, from.ends),
        (PID, Ends::To(end("10.0.0.7", 8080)))
    );
    assert_eq!(pool.follows_from, None);
}

#[test]
fn requests_that_waited_before_may_follow_only() {
    let mut plans = one_by_one(50, 10 * MS, CLIENT);
    plans.extend(many(
        127,
        Plan {
            age_ns: 90 * SECOND,
            ..SERVER
        },
    ));
    let snapshot = said_with(look_at(&plans), ProcessClues::default());
    let requests = snapshot
        .groups
        .iter()
        .find(|group| group.role == Role::Server);
    let requests = diagnosis(requests.expect("it is there"));
    assert_eq!(requests.follows_from, None);
    assert!(matches!(
        requests.causes[0].evidence[0],
        Evidence::MayFollowFrom(_)
    ));
}

/// A proxy's requests wait for a server that is stuck itself.
#[test]
fn a_proxy_follows_from_its_upstream() {
    let mut look = look_at(&many(20, SERVER));
    let mut upstream = look_at(&many(30, SERVER));
    for one in &mut upstream.listed {
        let cookie = one.cookie.expect("it has one") + 1000;
        one.cookie = Some(cookie);
        one.details.inode += 1000;
        one.local = end("10.0.0.2", 8080);
    }
    let held = look
        .held
        .as_ref()
        .map_or(&[][..], Descriptors::all)
        .to_vec();
    let theirs = upstream
        .listed
        .iter()
        .map(|one| fixtures::held(one, fixtures::holder(99, "server", one.details.inode)));
    look.held = Some(Descriptors::new(held.into_iter().chain(theirs).collect()));
    look.listed.append(&mut upstream.listed);
    look.processes.insert(99, fixtures::process(50));
    let clues = ProcessClues {
        upstreams: Some(vec![Upstream {
            remote: end("10.0.0.2", 8080),
            count: 20,
        }]),
        ..ProcessClues::default()
    };
    let snapshot = said_with(look, clues);
    let pids: Vec<_> = snapshot
        .groups
        .iter()
        .map(|group| group.owner.as_ref().map(|one| one.pid))
        .collect();
    assert_eq!(pids, [Some(99), Some(PID)]);
    let proxy = diagnosis(&snapshot.groups[1]);
    assert_eq!(proxy.follows_from.map(|from| from.pid), Some(99));
}

fn diagnosis(group: &Group) -> &Diagnosis {
    group.diagnosis.as_deref().expect("it was asked for")
}

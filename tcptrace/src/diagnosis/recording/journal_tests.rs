//! Tests the journal with random lives of sockets whose true states are known.

use std::{collections::BTreeMap, time::Duration};

use proptest::{prelude::*, sample::select};
use tcptrace_common::TcpState::{self, *};

use crate::{
    diagnosis::recording::{journal::Journal, recorded::Recorded},
    fixtures::{SECOND, end, recording_header, time, transition},
    model::{
        recording::RecordingHeader,
        socket::{Since, Socket},
        transition::{Loss, Record, StillOpen, Transition},
    },
    view::parts::caveat,
};

/// The states of a connection, for a client and a server, repeatedly.
const LIVES: [&[TcpState]; 6] = [
    &[Close, SynSent, Established, CloseWait, LastAck, Close],
    &[Close, SynSent, Established, FinWait1, FinWait2, Close],
    &[
        Close,
        SynSent,
        Close,
        SynSent,
        Established,
        CloseWait,
        Close,
    ],
    &[SynRecv, Established, CloseWait, LastAck, Close],
    &[SynRecv, Established, FinWait1, Closing, Close],
    &[
        Close,
        SynSent,
        Established,
        CloseWait,
        LastAck,
        Close,
        SynSent,
        Established,
        CloseWait,
    ],
];

/// Transitions of many sockets in the order of their times, which are all different.
fn lives() -> impl Strategy<Value = Vec<Transition>> {
    let life = (select(&LIVES[..]), 1..9_usize, 0..9 * SECOND, 1..SECOND);
    (prop::collection::vec(life, 1..12), any::<bool>()).prop_map(|(lives, with_cookies)| {
        let mut all: Vec<Transition> = Vec::new();
        for (cookie, (states, steps, start, gap)) in (1_u64..).zip(lives) {
            for (step, pair) in (0_u64..).zip(states.windows(2)).take(steps) {
                // The last digits make the times different.
                let ns = (start + step * gap) / 1000 * 1000 + cookie;
                let mut seen = transition(cookie, pair[0], pair[1], ns + SECOND);
                if !with_cookies {
                    seen.socket.cookie = None;
                }
                all.push(seen);
            }
        }
        all.sort_by_key(|seen| seen.monotonic_ns);
        all
    })
}

/// For each socket, identified by its port: when it entered its current state.
fn truth(all: &[Transition], state: TcpState, at_ns: u64) -> BTreeMap<u16, u64> {
    let mut truth = BTreeMap::new();
    let mut all: Vec<_> = all.iter().filter(|t| t.monotonic_ns <= at_ns).collect();
    all.sort_by_key(|seen| seen.monotonic_ns);
    for seen in all {
        let port = seen.socket.local.port;
        if seen.to == state {
            truth.insert(port, seen.monotonic_ns);
        } else {
            truth.remove(&port);
        }
    }
    truth
}

fn loss(at_ns: u64) -> Record {
    Record::Loss(Loss {
        time: time(at_ns),
        monotonic_ns: at_ns,
        transitions: 1,
        sockets: 0,
        runs: 0,
    })
}

fn listed(of: &Transition, state: TcpState, since: Since, at_ns: u64) -> Record {
    Record::StillOpen(StillOpen {
        time: time(at_ns),
        monotonic_ns: at_ns,
        socket: Socket::logged(of.socket.clone(), state, since, None),
        residue_of: None,
    })
}

fn read(state: TcpState, records: impl IntoIterator<Item = Record>) -> Recorded {
    let mut journal = Journal::new(state);
    records.into_iter().for_each(|record| journal.add(record));
    journal.finish()
}

fn shown(recorded: &Recorded) -> BTreeMap<u16, Since> {
    let sockets = recorded.sockets.iter();
    let shown: BTreeMap<_, _> = sockets.map(|s| (s.identity.local.port, s.since)).collect();
    assert_eq!(shown.len(), recorded.sockets.len(), "one is shown twice");
    shown
}

fn exact(truth: BTreeMap<u16, u64>) -> BTreeMap<u16, Since> {
    let exact = |(port, since)| (port, Since::Exact(since));
    truth.into_iter().map(exact).collect()
}

/// Everything shown is true: every socket is in the state, and no age is too large.
fn check(all: &[Transition], state: TcpState, recorded: &Recorded) -> Result<(), TestCaseError> {
    let Some((end_ns, _)) = recorded.end else {
        prop_assert!(recorded.sockets.is_empty());
        return Ok(());
    };
    let truth = truth(all, state, end_ns);
    for (port, since) in shown(recorded) {
        let Some(true_ns) = truth.get(&port) else {
            return Err(TestCaseError::fail(format!("{port} has left {state:?}")));
        };
        match since {
            Since::Exact(ns) => prop_assert_eq!(ns, *true_ns),
            Since::AtLatest(ns) => prop_assert!(ns >= *true_ns),
        }
    }
    Ok(())
}

/// What happens to a record before it reaches the log.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    Doubled,
    Lost,
}

fn fates() -> impl Strategy<Value = Vec<(Fate, bool)>> {
    let fate = prop_oneof![3 => Just(Fate::Kept), 1 => Just(Fate::Doubled), 1 => Just(Fate::Lost)];
    prop::collection::vec((fate, any::<bool>()), 100)
}

/// The log of these transitions, of which some are lost; the log reports the loss some time later.
fn lossy(all: &[Transition], fates: &[(Fate, bool)]) -> Vec<Record> {
    let mut log = Vec::new();
    let mut untold = false;
    for (seen, (fate, tell)) in all.iter().zip(fates) {
        match fate {
            Fate::Kept => log.push(Record::Transition(seen.clone())),
            Fate::Doubled => log.extend([(); 2].map(|()| Record::Transition(seen.clone()))),
            Fate::Lost => untold = true,
        }
        if untold && *tell {
            log.push(loss(seen.monotonic_ns));
            untold = false;
        }
    }
    if let (true, Some(last)) = (untold, all.last()) {
        log.push(loss(last.monotonic_ns));
    }
    log
}

fn state() -> impl Strategy<Value = TcpState> {
    select(&[CloseWait, Established, SynSent, FinWait2, LastAck][..])
}

proptest! {
    #[test]
    fn with_nothing_lost_the_truth_is_shown(all in lives(), state in state()) {
        let recorded = read(state, all.iter().cloned().map(Record::Transition));
        let end_ns = all.last().map_or(0, |last| last.monotonic_ns);
        prop_assert_eq!(shown(&recorded), exact(truth(&all, state, end_ns)));
        prop_assert!(recorded.doubtful.is_empty());
        prop_assert_eq!(recorded.facts.contradictions, 0);
    }

    #[test]
    fn a_log_that_begins_late_shows_what_it_has_seen(
        all in lives(), state in state(), first in 0..50_usize,
    ) {
        let all = &all[first.min(all.len())..];
        let recorded = read(state, all.iter().cloned().map(Record::Transition));
        let end_ns = all.last().map_or(0, |last| last.monotonic_ns);
        prop_assert_eq!(shown(&recorded), exact(truth(all, state, end_ns)));
    }

    #[test]
    fn a_little_disorder_changes_nothing(
        all in lives(), state in state(), jitter in prop::collection::vec(0..SECOND, 100),
    ) {
        let mut log: Vec<_> = all.iter().zip(jitter).collect();
        log.sort_by_key(|(seen, jitter)| seen.monotonic_ns + jitter);
        let recorded = read(state, log.iter().map(|(seen, _)| Record::Transition((*seen).clone())));
        let end_ns = all.last().map_or(0, |last| last.monotonic_ns);
        prop_assert_eq!(shown(&recorded), exact(truth(&all, state, end_ns)));
    }

    #[test]
    fn nothing_wrong_is_shown_where_a_loss_is_told(
        all in lives(), state in state(), fates in fates(),
    ) {
        check(&all, state, &read(state, lossy(&all, &fates)))?;
    }

    #[test]
    fn nor_in_any_order(
        (all, log) in (lives(), fates()).prop_flat_map(|(all, fates)| {
            let log = lossy(&all, &fates);
            (Just(all), Just(log).prop_shuffle())
        }),
        state in state(),
    ) {
        check(&all, state, &read(state, log))?;
    }

    #[test]
    fn nor_where_lines_are_damaged(all in lives(), state in state(), fates in fates()) {
        let mut journal = Journal::new(state);
        for (seen, (fate, _)) in all.iter().zip(&fates) {
            match fate {
                Fate::Lost => journal.damaged(),
                _ => journal.add(Record::Transition(seen.clone())),
            }
        }
        check(&all, state, &journal.finish())?;
    }

    #[test]
    fn a_listing_at_the_end_tells_all(
        all in lives(), state in state(), fates in fates(), known in any::<bool>(),
    ) {
        let mut log = lossy(&all, &fates);
        let end_ns = all.last().map_or(0, |last| last.monotonic_ns) + 5;
        let truth = truth(&all, state, end_ns);
        for (port, since) in &truth {
            let of = all.iter().find(|seen| seen.socket.local.port == *port);
            let since = if known { Since::Exact(*since) } else { Since::AtLatest(end_ns) };
            log.push(listed(of.expect("it had a transition"), state, since, end_ns));
        }
        log.push(loss(end_ns + 1));
        let recorded = read(state, log);
        prop_assert!(shown(&recorded).keys().eq(truth.keys()) || truth.is_empty());
        check(&all, state, &recorded)?;
    }

    #[test]
    fn another_log_behind_the_first_is_another_log(all in lives(), split in 0..50_usize) {
        // Nothing was traced between the first listing and the second half.
        let (first, second) = all.split_at(split.min(all.len()));
        let mut log: Vec<_> = first.iter().cloned().map(Record::Transition).collect();
        let end_ns = first.last().map_or(0, |last| last.monotonic_ns);
        for (port, since) in truth(first, CloseWait, end_ns) {
            let of = first.iter().find(|seen| seen.socket.local.port == port);
            log.push(listed(of.expect("it had one"), CloseWait, Since::Exact(since), end_ns));
        }
        let listed = log.len() > first.len();
        let gap = second.iter().cloned().map(Record::Transition);
        log.extend(gap.skip(usize::from(listed) * 3));
        check(&all, CloseWait, &read(CloseWait, log))?;
    }

    #[test]
    fn closed_sockets_are_forgotten(all in lives(), state in state()) {
        let mut journal = Journal::new(state);
        let mut last = BTreeMap::new();
        for seen in &all {
            last.insert(seen.socket.local.port, seen.clone());
            journal.add(Record::Transition(seen.clone()));
        }
        for (_, mut seen) in last {
            (seen.from, seen.to) = (seen.to, Close);
            seen.monotonic_ns += 20 * SECOND;
            journal.add(Record::Transition(seen));
        }
        prop_assert!(journal.is_empty(), "{journal:?}");
    }
}

fn socket(cookie: u64, states: &[TcpState], at: &[u64]) -> Vec<Record> {
    let steps = states.windows(2).zip(at);
    let step = |(pair, at): (&[TcpState], &u64)| transition(cookie, pair[0], pair[1], at * SECOND);
    steps.map(step).map(Record::Transition).collect()
}

#[test]
fn a_listing_knows_sockets_from_before_and_keeps_better_ages() {
    let mut log = socket(1, &[Established, CloseWait], &[5]);
    let other = transition(2, Established, CloseWait, 0);
    let Record::Transition(first) = log[0].clone() else {
        panic!("it is one")
    };
    let at_latest = |ns| Since::AtLatest(ns * SECOND);
    log.push(listed(&first, CloseWait, at_latest(8), 9 * SECOND));
    log.push(listed(&other, CloseWait, at_latest(3), 9 * SECOND));
    let recorded = read(CloseWait, log);
    let shown: Vec<_> = shown(&recorded).into_values().collect();
    assert_eq!(shown, [Since::Exact(5 * SECOND), at_latest(3)]);
}

#[test]
fn a_socket_that_tracing_had_no_cookie_of_is_known_again() {
    let mut seen = transition(1, Established, CloseWait, 5 * SECOND);
    let with_cookie = seen.clone();
    (seen.socket.cookie, seen.socket.netns) = (None, None);
    let open = listed(&with_cookie, CloseWait, Since::AtLatest(8), 9 * SECOND);
    let recorded = read(CloseWait, [Record::Transition(seen), open]);
    assert_eq!(recorded.sockets.len(), 1);
    assert_eq!(recorded.sockets[0].identity.cookie, Some(1));
    assert!(recorded.sockets[0].opener.is_some());
}

#[test]
fn a_state_that_does_not_follow_is_corrected_and_counted() {
    let mut log = socket(1, &[Established, CloseWait], &[5]);
    log.extend(socket(1, &[Established, CloseWait], &[7]));
    let recorded = read(CloseWait, log);
    assert_eq!(recorded.sockets[0].since, Since::Exact(7 * SECOND));
    assert_eq!(recorded.facts.contradictions, 1);
}

#[test]
fn a_machine_that_was_started_anew_has_other_sockets() {
    let mut log = socket(1, &[Established, CloseWait], &[500]);
    let mut later = transition(2, Established, CloseWait, 20 * SECOND);
    later.time += Duration::from_secs(1000);
    log.push(Record::Transition(later));
    let recorded = read(CloseWait, log);
    assert_eq!(recorded.sockets.len(), 1);
    assert_eq!(recorded.sockets[0].identity.cookie, Some(2));
    assert_eq!(recorded.facts.restarts, 1);
}

#[test]
fn what_is_damaged_behind_the_last_record_does_not_matter() {
    let mut journal = Journal::new(CloseWait);
    for record in socket(1, &[Established, CloseWait], &[5]) {
        journal.add(record);
    }
    journal.damaged();
    assert_eq!(journal.finish().sockets.len(), 1);
}

#[test]
fn a_socket_that_has_no_port_yet_is_not_followed_without_a_cookie() {
    let mut seen = transition(1, Close, SynSent, 5);
    seen.socket.cookie = None;
    seen.socket.local = end("10.0.0.1", 0);
    let recorded = read(SynSent, [Record::Transition(seen)]);
    assert!(recorded.sockets.is_empty());
    assert_eq!(recorded.facts.unidentified, 1);
}

#[test]
fn a_log_of_one_state_does_not_tell_of_others() {
    let mut log = socket(1, &[Established, CloseWait, LastAck], &[5, 6]);
    let recorded = read(LastAck, log.clone());
    let note = "every transition in it is into or out of CLOSE_WAIT";
    let notes = |recorded: &Recorded| {
        let caveats = recorded.facts.caveats(recorded.state, true);
        caveat::texts(&caveats).join("; ")
    };
    assert!(notes(&recorded).contains(note), "{}", notes(&recorded));
    assert_eq!(notes(&read(CloseWait, log.clone())), "");
    log.extend(socket(2, &[Close, SynSent], &[7]));
    assert_eq!(notes(&read(LastAck, log)), "");
}

#[test]
fn who_is_not_in_the_listing_may_have_left() {
    let mut log = socket(1, &[Established, CloseWait], &[5]);
    let other = transition(2, Established, CloseWait, 0);
    log.push(listed(&other, CloseWait, Since::AtLatest(3), 9 * SECOND));
    let recorded = read(CloseWait, log);
    assert_eq!(recorded.sockets[0].identity.cookie, Some(2));
    assert_eq!((recorded.sockets.len(), recorded.doubtful.len()), (1, 1));
}

/// The header of a recording that began at this second.
fn begun(second: u64) -> RecordingHeader {
    RecordingHeader {
        time: time(second * SECOND),
        monotonic_ns: second * SECOND,
        ..recording_header()
    }
}

#[test]
fn between_one_log_and_the_next_a_socket_may_have_left() {
    let mut journal = Journal::new(CloseWait);
    let take = |journal: &mut Journal, cookie, second| {
        let log = socket(cookie, &[Established, CloseWait], &[second]);
        log.into_iter().for_each(|record| journal.add(record));
    };
    journal.header(&begun(1));
    take(&mut journal, 1, 5);
    // Another file of the same session, appended to it.
    journal.header(&begun(1));
    take(&mut journal, 2, 5);
    journal.header(&begun(8));
    take(&mut journal, 3, 9);
    let recorded = journal.finish();
    assert_eq!(recorded.sockets.len(), 1);
    assert_eq!(recorded.sockets[0].identity.cookie, Some(3));
    assert_eq!(recorded.doubtful.len(), 2);
    assert_eq!(recorded.end.map(|(ns, _)| ns), Some(9 * SECOND));
}

//! Tests the kernel side's rule together with the rule here, with generated lives of sockets whose
//! true durations are known. Whatever is skipped, lost or does not fit, no duration is wrong.

use std::{
    collections::{HashMap, HashSet},
    time::UNIX_EPOCH,
};

use TcpState::{Close, CloseWait, Established, FinWait1, FinWait2, LastAck, SynSent};
use proptest::prelude::*;
use tcptrace_common::{
    AF_INET, IPPROTO_TCP, StateStart, TcpState, TrackedSocket, TransitionRecord,
    UsedTransitionRecord, WatchedSocket,
};

use crate::{
    diagnosis::log::transitions::Transitions,
    model::transition::{Loss, StateDuration},
    source::track::{
        convert::{self, Moment},
        processes::Processes,
    },
};

/// The states of a client's socket, repeated: the socket may be connected again.
const BY_US: [TcpState; 5] = [SynSent, Established, FinWait1, FinWait2, Close];
const BY_PEER: [TcpState; 5] = [SynSent, Established, CloseWait, LastAck, Close];

/// What happens to a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Told,
    /// The program does not run, and the kernel counts that.
    Skipped,
    /// The ring buffer is full.
    Lost,
    /// The table has no room for a new socket.
    NoRoom,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    socket: usize,
    by_peer: bool,
    destroy: bool,
    fate: Fate,
    ns: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        6 => Just(Fate::Told),
        1 => Just(Fate::Skipped),
        1 => Just(Fate::Lost),
        1 => Just(Fate::NoRoom),
    ];
    (0..4_usize, any::<bool>(), any::<bool>(), fate, 1..1000_u64).prop_map(
        |(socket, by_peer, destroy, fate, ns)| Step {
            socket,
            by_peer,
            destroy,
            fate,
            ns,
        },
    )
}

/// The true state of a socket.
#[derive(Debug, Clone, Copy)]
struct Truth {
    cookie: u64,
    state: TcpState,
    since_ns: u64,
    /// Where in its life it is.
    next: usize,
    by_peer: bool,
}

#[derive(Default)]
struct World {
    now_ns: u64,
    cookies: u64,
    truths: HashMap<usize, Truth>,
    /// The kernel side's table, by address: new sockets take the addresses of destroyed ones.
    table: HashMap<usize, TrackedSocket>,
    rules: Transitions,
    processes: Processes,
    skipped: bool,
}

impl World {
    /// Executes a step; returns the reported duration and the true one.
    fn step(&mut self, step: Step) -> Option<(StateDuration, u64)> {
        self.now_ns += step.ns;
        let now_ns = self.now_ns;
        let cookies = &mut self.cookies;
        let truth = self.truths.entry(step.socket).or_insert_with(|| {
            *cookies += 1;
            Truth {
                cookie: *cookies,
                state: Close,
                since_ns: now_ns,
                next: 0,
                by_peer: step.by_peer,
            }
        });
        if truth.next == 0 {
            truth.by_peer = step.by_peer;
        }
        let path = if truth.by_peer { BY_PEER } else { BY_US };
        let (from, to) = (truth.state, path[truth.next]);
        let lasted = now_ns - truth.since_ns;
        (truth.state, truth.since_ns) = (to, now_ns);
        truth.next = (truth.next + 1) % path.len();
        let cookie = truth.cookie;
        let record = self.kernel(step, cookie, from, to);
        if to == Close && step.destroy {
            self.truths.remove(&step.socket);
            self.table.remove(&step.socket);
        }
        let record = record?;
        // As in a read: skipped runs are noticed before the record is interpreted.
        if std::mem::take(&mut self.skipped) {
            self.rules.doubt(&Loss {
                time: UNIX_EPOCH,
                monotonic_ns: now_ns,
                transitions: 0,
                sockets: 0,
                runs: 1,
            });
        }
        let now = Moment {
            time: UNIX_EPOCH,
            monotonic_ns: now_ns,
        };
        let seen = convert::transition(
            &UsedTransitionRecord {
                transition: record,
                ..UsedTransitionRecord::default()
            },
            now,
            &mut self.processes,
        )?;
        Some((self.rules.judge(seen).duration, lasted))
    }

    /// What the BPF program does (`track/transitions/with_owners.rs` of the kernel side).
    fn kernel(
        &mut self,
        step: Step,
        cookie: u64,
        from: TcpState,
        to: TcpState,
    ) -> Option<TransitionRecord> {
        if step.fate == Fate::Skipped {
            self.skipped = true;
            return None;
        }
        let (from, to) = (u32::from(from.number()), u32::from(to.number()));
        let entry = self.table.get_mut(&step.socket);
        let past = match entry.filter(|entry| entry.socket.cookie == cookie) {
            Some(entry) => entry.step(from, to, self.now_ns),
            None => {
                let socket = WatchedSocket {
                    cookie,
                    since_ns: self.now_ns,
                    ..WatchedSocket::default()
                };
                let state = to;
                if step.fate != Fate::NoRoom && state != u32::from(Close.number()) {
                    self.table.insert(
                        step.socket,
                        TrackedSocket {
                            socket,
                            state,
                            ..TrackedSocket::default()
                        },
                    );
                }
                StateStart::default()
            }
        };
        (step.fate != Fate::Lost).then(|| TransitionRecord {
            time_ns: self.now_ns,
            socket: WatchedSocket {
                since_ns: past.since_ns,
                cookie,
                family: AF_INET,
                ..WatchedSocket::default()
            },
            from: u8::try_from(from).expect("a state"),
            to: u8::try_from(to).expect("a state"),
            flags: if past.or_before {
                TransitionRecord::OR_BEFORE
            } else {
                0
            },
            protocol: IPPROTO_TCP,
            ..TransitionRecord::default()
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_duration_is_wrong(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World::default();
        for step in steps {
            let told = world.step(step);
            match told {
                Some((StateDuration::Exact(ns), truth)) => prop_assert_eq!(ns, truth, "{:?}", step),
                Some((StateDuration::AtLeast(ns), truth)) => prop_assert!(ns <= truth, "{:?}", step),
                Some((StateDuration::Unknown, _)) | None => {}
            }
        }
        // No entry remains for a socket that is gone.
        let there: HashSet<_> = world.truths.keys().collect();
        prop_assert!(world.table.keys().all(|place| there.contains(place)));
    }

    #[test]
    fn without_loss_all_but_the_first_are_exact(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::default();
        let mut seen = HashSet::new();
        for mut step in steps {
            step.fate = Fate::Told;
            let new = world.truths.get(&step.socket).map(|truth| truth.cookie);
            let told = world.step(step);
            let known = new.is_some_and(|cookie| seen.contains(&cookie));
            seen.extend(world.truths.get(&step.socket).map(|truth| truth.cookie));
            let exact = matches!(told, Some((StateDuration::Exact(ns), truth)) if ns == truth);
            prop_assert_eq!(exact, known, "{:?}: {:?}", step, told);
        }
    }
}

#[test]
fn a_bound_from_before_is_used_for_the_state_that_it_was_read_in() {
    let mut entry = TrackedSocket {
        state: u32::from(Established.number()),
        flags: TrackedSocket::BEFORE,
        ..TrackedSocket::default()
    };
    entry.socket.since_ns = 500;
    let past = entry.step(1, 8, 900);
    assert_eq!((past.since_ns, past.or_before), (500, true));
    let past = entry.step(8, 9, 1000);
    assert_eq!((past.since_ns, past.or_before), (900, false));
}

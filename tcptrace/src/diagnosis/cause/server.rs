//! Why sockets that came in at a listener are stuck, once a process has accepted them.

use crate::{
    diagnosis::cause::{
        any_role::spread,
        case::{Case, SECOND, has_sent, is_all_read, read, received, share, unread},
        gap::sent_since,
        leak::{Found, Patience},
    },
    model::{
        cause::{Cause, CauseName, Evidence, Interest, Share},
        socket::Socket,
    },
};

/// What was sent so short a time ago was sent just now.
const JUST_NOW_NS: u64 = 5 * SECOND;

/// What became of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not one byte was read.
    NothingRead,
    /// All but the end was read, and nothing sent since the last data came.
    EndNotRead,
    /// All but the end was read, and answered.
    AnsweredEndNotRead,
    /// Something was read and something was not.
    DataNotRead,
    /// All was read, and something sent before the FIN came, or it is not known when.
    Answered,
    /// All was read, and something sent at the FIN or later.
    SentSince,
    /// All was read, and nothing was ever sent.
    NeverAnswered,
    Unknown,
}

/// Whether it has sent something just now, and more than it was asked for: where it is not known when the FIN came, this
/// looks more like one that sends on than like one that has answered.
fn still_sends(socket: &Socket, now_ns: u64) -> Option<bool> {
    let details = socket.details.as_ref()?;
    let more = details.data_segments_out? > details.data_segments_in?.saturating_add(1);
    Some(more && now_ns.saturating_sub(details.last_sent_ns?) < JUST_NOW_NS)
}

fn fate(socket: &Socket, now_ns: u64) -> Fate {
    let (Some(unread), Some(received)) = (unread(socket), received(socket)) else {
        return Fate::Unknown;
    };
    match unread {
        0 => match (has_sent(socket), sent_since(socket)) {
            (Some(false), _) => Fate::NeverAnswered,
            (_, Some(true)) => Fate::SentSince,
            (_, None) if still_sends(socket, now_ns) == Some(true) => Fate::SentSince,
            (Some(true), _) => Fate::Answered,
            (None, _) => Fate::Unknown,
        },
        unread if unread >= received => Fate::NothingRead,
        1 if answered_since_read(socket) == Some(true) => Fate::AnsweredEndNotRead,
        1 => Fate::EndNotRead,
        _ => Fate::DataNotRead,
    }
}

/// The sockets that were accepted, and what became of each.
type Fates<'a> = Vec<(&'a Socket, Fate)>;

/// The causes.
pub fn causes(case: &Case<'_>) -> Found {
    let all: Fates<'_> = case
        .accepted()
        .map(|socket| (socket, fate(socket, case.now_ns)))
        .collect();
    let causes = ranked(case, &all);
    let first = causes.first();
    Found {
        carries_a_leak: first.and_then(|first| carries_a_leak(case, first, &all)),
        causes,
        inherited: None,
    }
}

fn ranked(case: &Case<'_>, all: &Fates<'_>) -> Vec<Cause> {
    let count = |wanted: &[Fate]| all.iter().filter(|(_, fate)| wanted.contains(fate)).count();
    let share_of = |wanted: &[Fate]| Share {
        count: count(wanted),
        of: all.len(),
    };
    let Watch {
        level: watched,
        edge,
        none: unwatched,
    } = watch(case, all);
    let unanswered = share_of(&[Fate::NeverAnswered]);
    let unread = [Fate::NothingRead, Fate::EndNotRead, Fate::DataNotRead];
    // Who has answered waits for the next request, or for the end. If no set of the process does, it was forgotten; if a
    // level-triggered one does, or the process has none, whoever is to look does something else.
    let answered = share_of(&[Fate::AnsweredEndNotRead]);
    let forgotten = is_forgotten(case, all);
    // Of a socket that a level-triggered set waits for, an end that was read would be told again and again.
    // One that an edge-triggered set waits for belongs to a runtime that reads the end by itself, and whoever is to
    // answer is still at it.
    let waits = unanswered.count > 0 && (watched.count + edge.count) * 2 >= unanswered.count;
    let mut ranked = vec![
        (
            count(&unread)
                + if waits { unanswered.count } else { 0 }
                + if forgotten { 0 } else { answered.count },
            starved(case, &share_of, unanswered, [watched, edge]),
        ),
        (
            count(&[Fate::Answered])
                + if waits { 0 } else { unanswered.count }
                + if forgotten { answered.count } else { 0 },
            eof_ignored(case, &share_of, unanswered, unwatched),
        ),
        (
            count(&[Fate::SentSince]),
            Cause {
                name: CauseName::Sending,
                evidence: vec![Evidence::SentSince(share_of(&[Fate::SentSince]))],
            },
        ),
    ];
    // What was sent when the FIN came or later may have been all that there was to send.
    let since = count(&[Fate::SentSince]);
    if since > 0 {
        ranked[1].0 += since.saturating_sub(1);
    }
    ranked.retain(|(count, _)| count * 5 >= all.len().max(1));
    ranked.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut causes: Vec<_> = ranked.into_iter().map(|(_, cause)| cause).collect();
    // Where it is not known whether the answer came before the end, more may follow.
    let unsure = all
        .iter()
        .filter(|(socket, fate)| *fate == Fate::Answered && sent_since(socket).is_none());
    let names_sending = causes.iter().any(|one| one.name == CauseName::Sending);
    if !names_sending && unsure.count() * 2 > all.len() {
        causes.push(Cause {
            name: CauseName::Sending,
            evidence: Vec::new(),
        });
    }
    // Where nothing was ever sent, the end may have been read with the request, by one who is still at it; and who has
    // answered and does not look may be forgotten, or wait for somebody who is busy.
    let first = causes.first().map(|one| one.name);
    let names = |name| causes.iter().any(|one: &Cause| one.name == name);
    if first == Some(CauseName::Starved)
        && answered.count * 2 > all.len()
        && !names(CauseName::EofIgnored)
    {
        causes.push(Cause {
            name: CauseName::EofIgnored,
            evidence: Vec::new(),
        });
    }
    let ignored = first == Some(CauseName::EofIgnored);
    let open = unanswered.count + answered.count;
    if ignored && open * 2 > all.len() && causes.iter().all(|one| one.name != CauseName::Starved) {
        causes.push(Cause {
            name: CauseName::Starved,
            evidence: Vec::new(),
        });
    }
    // Below the limit of descriptors, a queue beside sockets that were accepted shows that accepting is held up.
    let unaccepted = case.group.unaccepted;
    if unaccepted > 0 {
        if case.is_nearly_full() {
            if let Some(first) = causes.first_mut() {
                let evidence = Evidence::NotAcceptedForLackOfDescriptors { unaccepted };
                first.evidence.push(evidence);
            }
        } else {
            let held_up = Evidence::AcceptingIsHeldUp { unaccepted };
            match causes.iter().position(|one| one.name == CauseName::Starved) {
                Some(at) => {
                    let mut starved = causes.remove(at);
                    starved.evidence.insert(0, held_up);
                    causes.insert(0, starved);
                }
                None => causes.insert(
                    0,
                    Cause {
                        name: CauseName::Starved,
                        evidence: vec![held_up],
                    },
                ),
            }
        }
    }
    if let Some(first) = causes.first_mut()
        && case.listeners.as_ref().is_some_and(Vec::is_empty)
    {
        first.evidence.push(Evidence::NoListener);
    }
    causes
}

fn starved(
    case: &Case<'_>,
    share_of: &dyn Fn(&[Fate]) -> Share,
    unanswered: Share,
    [watched, edge]: [Share; 2],
) -> Cause {
    let mut evidence = Vec::new();
    for (fate, say) in [
        (
            Fate::NothingRead,
            Evidence::NothingRead as fn(Share) -> Evidence,
        ),
        (Fate::EndNotRead, Evidence::EndNotRead),
        (Fate::AnsweredEndNotRead, Evidence::AnsweredEndNotRead),
        (Fate::DataNotRead, Evidence::DataNotRead),
    ] {
        let share = share_of(&[fate]);
        if share.count > 0 {
            evidence.push(say(share));
        }
    }
    if unanswered.count > 0 {
        evidence.push(Evidence::NeverAnswered(unanswered));
        if watched.count > 0 {
            evidence.push(Evidence::Watched(watched));
        }
        if edge.count > 0 {
            evidence.push(Evidence::EdgeTriggered(edge));
        }
    }
    let upstreams = case.clues.and_then(|clues| clues.upstreams.as_ref());
    // As many connections to one server as requests wait, or as threads that serve them.
    if let Some(most) = upstreams.into_iter().flatten().next() {
        let (remote, count) = (most.remote, most.count);
        evidence.push(Evidence::ConnectedTo { remote, count });
    }
    Cause {
        name: CauseName::Starved,
        evidence,
    }
}

fn eof_ignored(
    case: &Case<'_>,
    share_of: &dyn Fn(&[Fate]) -> Share,
    unanswered: Share,
    unwatched: Share,
) -> Cause {
    let mut evidence = vec![spread(case)];
    let answered = share_of(&[Fate::Answered]);
    if answered.count > 0 {
        evidence.push(Evidence::AnsweredBefore(answered));
    }
    let unread = share_of(&[Fate::AnsweredEndNotRead]);
    if unread.count > 0 {
        evidence.push(Evidence::AnsweredEndNotRead(unread));
    }
    if unanswered.count > 0 {
        evidence.push(Evidence::NeverAnswered(unanswered));
    }
    if unwatched.count > 0 {
        evidence.push(Evidence::Unwatched(unwatched));
    }
    Cause {
        name: CauseName::EofIgnored,
        evidence,
    }
}

/// Whether those that were answered and whose end is unread are in no set of the process that waits for something to
/// read, and it has one that does for others: an event that was to come once (`EPOLLONESHOT`) and was not asked for
/// again, or a socket that was taken out.
fn is_forgotten(case: &Case<'_>, all: &[(&Socket, Fate)]) -> bool {
    let interest = case.clues.and_then(|clues| clues.interest.as_ref());
    if interest.is_none_or(|sets| sets.is_empty()) {
        return false;
    }
    let answered = (all.iter())
        .filter(|(_, fate)| *fate == Fate::AnsweredEndNotRead)
        .map(|(socket, _)| *socket);
    share(answered, |socket| {
        Some(case.interest(socket)?.is_none_or(|one| !one.is_read()))
    })
    .is_at_least(80)
}

/// Of those of which all was read: what waits for them.
struct Watch {
    /// A level-triggered set of `epoll`.
    level: Share,
    /// An edge-triggered one.
    edge: Share,
    /// None of this process.
    none: Share,
}

fn watch(case: &Case<'_>, all: &[(&Socket, Fate)]) -> Watch {
    let read = all.iter().map(|(socket, _)| *socket);
    let read = read.filter(|socket| is_all_read(socket) == Some(true));
    let so = |is_so: fn(Interest) -> bool| {
        share(read.clone(), |socket| {
            Some(case.interest(socket)?.is_some_and(is_so))
        })
    };
    Watch {
        level: so(Interest::is_level_triggered_read),
        edge: so(Interest::is_edge_triggered),
        none: share(read.clone(), |socket| {
            Some(case.interest(socket)?.is_none())
        }),
    }
}

/// How long the oldest must have been there for it to be a leak, if all of them carry it that they stay; `None` if not.
/// Of what was answered and is then left alone, nothing tells whether more is to be sent, as by a server that sends
/// events.
fn carries_a_leak(case: &Case<'_>, cause: &Cause, all: &Fates<'_>) -> Option<Patience> {
    let count = |is: &dyn Fn(&Socket, Fate) -> Option<bool>| Share {
        count: (all.iter())
            .filter(|(socket, fate)| is(socket, *fate) == Some(true))
            .count(),
        of: all.len(),
    };
    match cause.name {
        CauseName::Starved => {
            let surely = count(&|socket, fate| {
                Some(match fate {
                    Fate::NothingRead | Fate::DataNotRead => true,
                    Fate::EndNotRead => answered_since_read(socket) == Some(false),
                    _ => false,
                })
            });
            surely.is_at_least(80).then_some(Patience::Work)
        }
        CauseName::EofIgnored => {
            let answered = count(&|socket, fate| {
                let is = fate == Fate::Answered && sent_since(socket) == Some(false);
                Some(is && read(socket)? > 0)
            });
            if answered.is_at_least(80) {
                return Some(Patience::Answer);
            }
            let unanswered =
                count(&|socket, fate| Some(fate == Fate::NeverAnswered && read(socket)? > 0));
            let surely = Share {
                count: answered.count + unanswered.count,
                of: all.len(),
            };
            let known = case.clues.is_some_and(|clues| clues.interest.is_some());
            let edge = |socket: &Socket| Some(case.interest(socket)??.is_edge_triggered());
            (known && surely.is_at_least(80) && count(&|socket, _| edge(socket)).count == 0)
                .then_some(Patience::Work)
        }
        _ => None,
    }
}

/// Whether something was sent after the last data came: an answer, or a part of one.
fn answered_since_read(socket: &Socket) -> Option<bool> {
    if has_sent(socket)? {
        let details = socket.details.as_ref()?;
        return Some(details.last_sent_ns? >= details.last_data_ns?);
    }
    Some(false)
}

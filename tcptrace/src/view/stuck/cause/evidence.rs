//! What speaks for a cause.

use crate::{
    model::{
        cause::{Evidence, Growth, Share},
        stuck::{group::RecvQueues, snapshot::Snapshot},
    },
    view::{
        parts::{address::endpoint, age::age},
        stuck::{
            cause::durations::{between, exact},
            names::{other_group, process},
        },
    },
};

/// A piece of evidence in words.
pub fn text(evidence: &Evidence, snapshot: &Snapshot) -> String {
    let group = |other| other_group(other, snapshot);
    let long = |ns: &u64| age(*ns, true);
    match evidence {
        Evidence::Unread(queues) => unread(queues),
        Evidence::ProcessStopped => "the process is stopped by a signal, or traced".into(),
        Evidence::ProcessFrozen => "its control group is frozen: nothing in it runs".into(),
        Evidence::Throttled { throttled, periods } => format!(
            "its control group was held back in {throttled} of {periods} periods: slow, not stopped"
        ),
        Evidence::LeftTogether { exits, moments } => format!(
            "{} of the {} that left went together with others of another age, at {}",
            exits.count,
            exits.of,
            number(*moments, "moment")
        ),
        Evidence::NoSurvivor { first, ago_ns } => {
            let ago = long(ago_ns);
            format!("none is left of the {first} of the first look, {ago} ago")
        }
        Evidence::BytesRead(share) => on(share, "bytes were read since the first look", ""),
        Evidence::BytesAcked(share) => on(
            share,
            "the peer has acknowledged more since the first look",
            "",
        ),
        Evidence::Served { count } => format!("{count} left with their descriptor closed"),
        Evidence::StillGrowing => {
            "more came just now, and what nobody closes may yet be collected with memory".into()
        }
        Evidence::AcceptedSince { count } => format!("{count} were accepted by another process"),
        Evidence::WaitsForTime { share, most_ns } => format!(
            "{} of {} threads wait with a time-out, the longest of {}: they may end them then",
            share.count,
            share.of,
            long(most_ns)
        ),
        Evidence::WaitsForChildren(share) => format!(
            "{} of {} threads wait for a child process, which works",
            share.count, share.of
        ),
        Evidence::NoneServed { for_ns } => {
            format!("none left, and no byte was read, in {}", long(for_ns))
        }
        Evidence::NeverAccepted(share) => on(share, "never accepted", ""),
        Evidence::Queue { queued, backlog } => {
            let full = if queued > backlog { ": it is full" } else { "" };
            format!("{queued} in the listener's queue, whose backlog is {backlog}{full}")
        }
        Evidence::NotAcceptedForLackOfDescriptors { unaccepted } => format!(
            "{unaccepted} never accepted: the process can open no more descriptors (EMFILE)"
        ),
        Evidence::AcceptingIsHeldUp { unaccepted } => format!(
            "{unaccepted} not accepted, with room for more descriptors: whoever accepts is held up"
        ),
        Evidence::HeldByTwo(share) => on(share, "more than one process has them open", ""),
        Evidence::HolderBeganLater(share) => on(
            share,
            "the process that has them began after their last data",
            "",
        ),
        Evidence::ListenerElsewhere { pid } => {
            let process = process(*pid, snapshot);
            format!("the listener of their port is open in {process}")
        }
        Evidence::NoListener => {
            "nobody listens on their port any more: there can come no more".into()
        }
        Evidence::NotCloseOnExec(share) => on(
            share,
            "open also in a program that is executed (no O_CLOEXEC)",
            "",
        ),
        Evidence::Unacknowledged(share) => {
            on(share, "not all that was sent has been acknowledged", "")
        }
        Evidence::WindowShut { share, doubled } => {
            let doubled = times((*doubled).into());
            let timer = format!(": the timer that probes it was doubled {doubled}");
            on(share, "the peer's window is shut", &timer)
        }
        Evidence::NothingRead(share) => on(share, "not one byte was read", ""),
        Evidence::EndNotRead(share) => {
            on(share, "all but the end was read", ": nobody looked since")
        }
        Evidence::AnsweredEndNotRead(share) => on(share, "answered, and the end is not read", ""),
        Evidence::DataNotRead(share) => on(share, "something came that nobody has read", ""),
        Evidence::AllRead(share) => on(share, "all was read", ""),
        Evidence::AnsweredBefore(share) => on(share, "answered before the FIN came", ""),
        Evidence::SentSince(share) => on(share, "data was sent when the FIN came or later", ""),
        Evidence::NeverAnswered(share) => on(share, "never answered", ""),
        Evidence::Watched(share) => on(share, "an epoll set waits for them", ""),
        Evidence::Unwatched(share) => on(share, "in no epoll set", ""),
        Evidence::EdgeTriggered(share) => on(
            share,
            "in an edge-triggered epoll set",
            ", which says nothing",
        ),
        Evidence::ConnectedTo { remote, count } => format!(
            "the process has {} to {}",
            number(*count, "open connection"),
            endpoint(*remote)
        ),
        Evidence::AnswerNotRead(share) => on(share, "an answer came that nobody reads", ""),
        Evidence::FinGap {
            share,
            least_ns,
            most_ns,
        } => {
            let gap = between(*least_ns, *most_ns);
            on(share, &format!("the FIN came {gap} after the answer"), "")
        }
        Evidence::FinGapUnknown(share) => on(
            share,
            "how long after the last data the FIN came cannot be told",
            "",
        ),
        Evidence::FinsTogether {
            share,
            within_ns,
            uses_ns,
        } => {
            let (within, uses) = (exact(*within_ns), exact(*uses_ns));
            let apart =
                format!(", and their last uses lie {uses} apart: the peer's process ended?");
            on(share, &format!("the FINs came within {within}"), &apart)
        }
        Evidence::NothingReceived(share) => on(share, "nothing was ever received", ""),
        Evidence::NothingSent(share) => on(share, "nothing was ever asked", ""),
        Evidence::CameUnasked(share) => on(
            share,
            "the last data came with the FIN and long after the last that was sent",
            ": a goodbye, or a late answer",
        ),
        Evidence::OneExchange(share) => on(share, "one exchange", ""),
        Evidence::SeveralExchanges(share) => on(share, "several exchanges", ""),
        Evidence::UsedAtOnce(share) => on(share, "in use at the same time", ""),
        Evidence::AtOnce { count, for_ns } => {
            let long = long(for_ns);
            format!("{count} for {long}, and no more: as a pool of that size would allow")
        }
        Evidence::Growth(one) => growth(*one),
        Evidence::DescriptorsFull { open, limit } => {
            format!("{open} of {limit} descriptors are open: FULL")
        }
        Evidence::BeganLater { than, by_ns } => {
            format!("began {} later than {}", exact(*by_ns), group(than))
        }
        Evidence::MayFollowFrom(other) => format!("may follow from {}", group(other)),
        Evidence::OtherEndsIn { group: one, count } => {
            format!(
                "the other ends of {count} are in {}, which reads nothing",
                group(one)
            )
        }
        Evidence::TooYoung { oldest_ns } => {
            let oldest = long(oldest_ns);
            format!("the oldest has been there for {oldest} only: a slow answer may take that long")
        }
        Evidence::RoleUnknown => "which side of the connections they are is not known".into(),
        Evidence::NotReadable(share) => on(share, "what matters here could not be read", ""),
    }
}

/// How a group grew.
pub fn growth(growth: Growth) -> String {
    match growth {
        Growth::None => "it does not grow".into(),
        Growth::Steady { sockets, within_ns } => {
            format!("it grows: {sockets} more in {}", age(within_ns, true))
        }
        Growth::Plateau { for_ns } => {
            format!("it grew, and has not for {}", age(for_ns, true))
        }
        Growth::Sawtooth { falls } => {
            format!("it fell {}, many at once, and grew again", times(falls))
        }
        Growth::Shrinks => "it becomes less".into(),
    }
}

fn unread(queues: &RecvQueues) -> String {
    let RecvQueues {
        zero,
        one,
        more,
        unknown,
    } = *queues;
    let known = zero + one + more;
    let mut text = if [zero, one, more].contains(&known) && unknown == 0 {
        let bytes = match known {
            known if known == zero => "0",
            known if known == one => "1",
            _ => "more than 1",
        };
        format!("Recv-Q {bytes} on {known} of {known}")
    } else {
        let parts = [
            ("0", zero),
            ("1", one),
            ("more", more),
            ("unknown", unknown),
        ];
        let parts = parts.iter().filter(|(_, count)| *count > 0);
        let parts: Vec<_> = parts
            .map(|(bytes, count)| format!("{bytes} on {count}"))
            .collect();
        format!("Recv-Q {}", parts.join(", "))
    };
    if one > 0 {
        text.push_str(": nobody looked since");
    }
    text
}

/// What holds for so many of the sockets.
fn on(share: &Share, before: &str, after: &str) -> String {
    format!("{before} on {} of {}{after}", share.count, share.of)
}

fn times(count: usize) -> String {
    match count {
        1 => "once".into(),
        count => format!("{count} times"),
    }
}

fn number(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

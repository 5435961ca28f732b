//! Whether the sockets of a group stay until somebody mends the program. An assertion that turns out wrong costs
//! more than many that are left open.

use crate::{
    diagnosis::cause::{
        any_role::{Inherited, is_served_by_sending},
        case::{Case, SECOND},
        history::Past,
    },
    model::cause::{Cause, CauseName, Evidence, Leak, Share, WouldTell},
};

/// How long the oldest must have been there before it can be called a leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as an answer can still be of use: the peer forgets a connection that it has closed after
    /// `tcp_fin_timeout`, 60 s unless set otherwise.
    Answer,
    /// As long as work may take that somebody still does: gateways wait for a minute or a few.
    Work,
    /// The same of data that is read bit by bit, or when its turn has come.
    Reading,
    /// The same of a client's connections that become more and more: what nobody closes may be collected with memory yet.
    Growing,
}

impl Patience {
    /// In ns, for who sees the group for the first time, and for who has watched it for so long.
    fn ns(self, watched_ns: u64) -> u64 {
        match self {
            Self::Answer => LONG_NS,
            Self::Reading if watched_ns >= 15 * SECOND => LONG_NS,
            Self::Work if watched_ns >= LONG_NS => 2 * LONG_NS,
            Self::Reading | Self::Work | Self::Growing => 5 * LONG_NS,
        }
    }
}

const LONG_NS: u64 = 60 * SECOND;
/// The same for a process that can open no more descriptors: it serves nobody.
const LONG_IF_FULL_NS: u64 = 15 * SECOND;
/// Sockets that left after having been there for so long were served late.
const SERVED_LATE_NS: u64 = 10 * SECOND;

/// What the rules find.
#[derive(Default)]
pub struct Found {
    /// The causes that fit, best first.
    pub causes: Vec<Cause>,
    /// Whether the first of them carries it that they stay, and from which age on.
    pub carries_a_leak: Option<Patience>,
    /// How surely they were inherited, if that is the first cause.
    pub inherited: Option<Inherited>,
}

/// The answer, and why it is not another one.
pub fn leak(case: &Case<'_>, found: &Found) -> (Leak, Vec<Evidence>) {
    let Some(first) = found.causes.first() else {
        return (Leak::Unknown, Vec::new());
    };
    let no = match first.name {
        CauseName::Churn => true,
        CauseName::Sending => is_served_by_sending(case),
        _ => false,
    };
    if no {
        return (Leak::No, Vec::new());
    }
    if first.name == CauseName::Inherited {
        let surely = found.inherited == Some(Inherited::Surely);
        let leak = if surely { Leak::Yes } else { Leak::Unknown };
        return (leak, Vec::new());
    }
    let mut because = Vec::new();
    if let Some(past) = case.past {
        because.extend(past.progress(SERVED_LATE_NS));
        if past.read > 0 {
            because.push(Evidence::BytesRead(Past::share(past.read, case.group)));
        }
        if past.acked > 0 {
            because.push(Evidence::BytesAcked(Past::share(past.acked, case.group)));
        }
    }
    because.extend(may_end_them(case, found));
    let Some(patience) = found.carries_a_leak else {
        return (Leak::Unknown, because);
    };
    let oldest_ns = case.oldest_ns();
    let watched_ns = case.past.map_or(0, |past| past.watched_ns(case.now_ns));
    let long_ns = if case.is_full() {
        LONG_IF_FULL_NS
    } else {
        patience.ns(watched_ns)
    };
    if oldest_ns < long_ns {
        because.push(match patience {
            Patience::Growing if oldest_ns >= LONG_NS => Evidence::StillGrowing,
            _ => Evidence::TooYoung { oldest_ns },
        });
    }
    if !because.is_empty() {
        return (Leak::Unknown, because);
    }
    // What a session has seen speaks for it, too.
    let seen = (watched_ns > 0).then_some(Evidence::NoneServed { for_ns: watched_ns });
    (Leak::Yes, seen.into_iter().collect())
}

/// What at least half of the threads wait for that ends by itself: somebody may be at work as long as that, or gives up then.
/// An event loop that waits for some seconds only looks after itself.
fn may_end_them(case: &Case<'_>, found: &Found) -> Option<Evidence> {
    if found.carries_a_leak != Some(Patience::Work) {
        return None;
    }
    let waits = case.clues?.waits.as_ref()?;
    let long = waits.timed_ns.partition_point(|ns| *ns < LONG_NS);
    let long = &waits.timed_ns[long..];
    if (long.len() + waits.for_children) * 2 < waits.threads.max(1) {
        return None;
    }
    let of = waits.threads;
    let share = |count| Share { count, of };
    Some(match long.last() {
        Some(most_ns) => Evidence::WaitsForTime {
            share: share(long.len()),
            most_ns: *most_ns,
        },
        None => Evidence::WaitsForChildren(share(waits.for_children)),
    })
}

/// What would tell more.
pub fn would_tell(case: &Case<'_>, leak: Leak, causes: &[Cause]) -> Vec<WouldTell> {
    let mut all = Vec::new();
    let first = causes.first().map(|cause| cause.name);
    let has = |name| causes.iter().any(|cause| cause.name == name);
    if leak == Leak::Unknown {
        all.push(match case.past {
            None => WouldTell::Session,
            Some(_) => WouldTell::LongerSession,
        });
        if has(CauseName::IdlePooled) {
            all.push(WouldTell::NextUse);
        }
    }
    let waits = [
        CauseName::Starved,
        CauseName::NeverAccepted,
        CauseName::Leased,
        CauseName::Sending,
    ];
    if first.is_none_or(|first| waits.contains(&first)) {
        all.push(WouldTell::ThreadDump);
    }
    if has(CauseName::Leased) {
        all.push(WouldTell::HttpStatus);
    }
    if leak != Leak::No {
        all.push(WouldTell::Log);
    }
    all
}

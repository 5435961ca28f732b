//! What a cause means, and what to do about it.

use crate::{
    model::{
        cause::{Cause, CauseName, Diagnosis, Evidence},
        stuck::snapshot::Snapshot,
    },
    view::{
        parts::address::endpoint,
        stuck::{cause::durations::between, names::other_group},
    },
};

/// A gap from which on the peer did not close because it had answered.
const IDLE_NS: u64 = 500_000_000;

/// What the cause is, in a few words.
pub fn meaning(cause: CauseName) -> &'static str {
    match cause {
        CauseName::Leased => "taken from a pool or a client and never given back",
        CauseName::IdlePooled => "idle in a pool, and the peer closed first",
        CauseName::NeverAccepted => "no process has accepted them",
        CauseName::Starved => "accepted, and nobody reads the request",
        CauseName::EofIgnored => "the end was read, and the socket not closed",
        CauseName::Inherited => "held by a process that was forked with them and never used them",
        CauseName::GarbageCollected => "closed only when memory is collected",
        CauseName::Sending => "the process still sends, or waits to be able to",
        CauseName::Stopped => "the process does not run",
        CauseName::Churn => "they come and go: traffic",
    }
}

/// What to do about a cause of a group with this diagnosis.
pub fn remedy(cause: &Cause, diagnosis: &Diagnosis, snapshot: &Snapshot) -> String {
    match cause.name {
        CauseName::Leased => {
            "close, consume or abort the response on every status; a lease time-out on the pool. \
             net.ipv4.tcp_keepalive_* do nothing for a socket without SO_KEEPALIVE, and with it only turn \
             the leak into residue"
                .into()
        }
        CauseName::IdlePooled => {
            let after = idle_time_out(cause).map_or_else(String::new, |text| {
                format!(", which closed {text} after the last data")
            });
            format!("evict idle connections; keep them for less long than the server does{after}")
        }
        CauseName::NeverAccepted => {
            "whoever accepts is blocked, or out of threads or descriptors; a larger backlog only hides it"
                .into()
        }
        CauseName::Starved => starved(cause, diagnosis, snapshot),
        CauseName::EofIgnored => "close when read returns 0; a proxy must close both legs".into(),
        CauseName::Inherited => "SOCK_CLOEXEC (accept4, socket); close them in the child".into(),
        CauseName::GarbageCollected => "close explicitly; share one client".into(),
        CauseName::Sending => "TCP_USER_TIMEOUT; it may be a half-close that is meant".into(),
        CauseName::Stopped => "resume, unfreeze or restart it".into(),
        CauseName::Churn => "none for the program; capacity, if it is too many at once".into(),
    }
}

fn starved(cause: &Cause, diagnosis: &Diagnosis, snapshot: &Snapshot) -> String {
    if let Some(other) = &diagnosis.follows_from {
        let other = other_group(other, snapshot);
        return format!("mend what it follows from: {other}");
    }
    let upstream = cause.evidence.iter().find_map(|evidence| match evidence {
        Evidence::ConnectedTo { remote, .. } => Some(endpoint(*remote)),
        Evidence::OtherEndsIn { group, .. } | Evidence::MayFollowFrom(group) => {
            Some(other_group(group, snapshot))
        }
        _ => None,
    });
    let upstream = upstream.map_or_else(String::new, |name| format!(" (perhaps {name})"));
    format!("a thread dump: find the lock, pool or upstream that all wait for{upstream}")
}

/// After how long the server closes idle connections, where that was measured.
fn idle_time_out(cause: &Cause) -> Option<String> {
    cause.evidence.iter().find_map(|evidence| match *evidence {
        Evidence::FinGap {
            least_ns, most_ns, ..
        } if least_ns >= IDLE_NS => Some(between(least_ns, most_ns)),
        _ => None,
    })
}

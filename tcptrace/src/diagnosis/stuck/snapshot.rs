//! The sockets that are stuck at a look.

use crate::{
    diagnosis::stuck::{group::group, tracker::Tracker},
    model::{
        socket::Socket,
        stuck::{
            look::Look,
            snapshot::{Snapshot, Watched},
        },
    },
};

/// The snapshot of a look.
#[must_use]
pub fn snapshot(look: Look, tracker: &mut Tracker, watched: &Watched) -> Snapshot {
    let now_ns = look.monotonic_ns;
    let all = tracker.sockets(&look).into_iter();
    let wanted = all.filter(|socket| watched.filter.passes(socket));
    let (sockets, younger) = by_age(wanted, now_ns, watched);
    Snapshot {
        time: Some(look.time),
        monotonic_ns: now_ns,
        watched: watched.clone(),
        groups: group(&sockets, now_ns),
        sockets,
        younger: look.younger + younger,
        processes: look.processes,
        netns_names: look.netns_names,
        tracing: look.tracing,
        caveats: look.caveats,
    }
}

/// The sockets that have been in the state for long enough, the oldest first, and the number of
/// younger ones.
pub fn by_age(
    sockets: impl Iterator<Item = Socket>,
    now_ns: u64,
    watched: &Watched,
) -> (Vec<Socket>, usize) {
    let (mut old, younger): (Vec<_>, Vec<_>) =
        sockets.partition(|socket| socket.age_ns(now_ns) >= watched.older_than_ns);
    old.sort_by_key(|socket| (socket.since.moment_ns(), socket.identity.cookie));
    (old, younger.len())
}

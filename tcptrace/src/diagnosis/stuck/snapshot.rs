//! The sockets that are stuck at a look.

use crate::{
    diagnosis::stuck::{
        group::group,
        residue::residue,
        tracker::{Tracker, holders_of},
    },
    model::{
        socket::Socket,
        stuck::{
            look::Look,
            residue::Residue,
            snapshot::{Snapshot, Watched},
        },
    },
};

/// The snapshot of a look.
#[must_use]
pub fn snapshot(mut look: Look, tracker: &mut Tracker, watched: &Watched) -> Snapshot {
    let now_ns = look.monotonic_ns;
    let (failed_connects, residue) = dead(&look, watched).unzip();
    let all = tracker.sockets(&mut look).into_iter();
    let mut remainders = 0;
    let wanted = all
        .filter(|socket| watched.filter.passes(socket))
        .inspect(|socket| {
            let details = socket.details.as_ref();
            remainders += usize::from(details.is_some_and(|details| details.remainder));
        });
    let (sockets, younger) = by_age(wanted, now_ns, watched);
    Snapshot {
        time: Some(look.time),
        monotonic_ns: now_ns,
        watched: watched.clone(),
        groups: group(&sockets, now_ns),
        sockets,
        younger,
        remainders,
        residue,
        failed_connects,
        processes: look.processes,
        netns_names: look.netns_names,
        tracing: look.tracing,
        caveats: look.caveats,
    }
}

/// The connects that failed and the residue, if the filter wants them, by holder and remote; `None` if
/// they were not looked for.
fn dead(look: &Look, watched: &Watched) -> Option<(Vec<Residue>, Vec<Residue>)> {
    let all = look.dead.as_ref()?.iter().map(|dead| {
        let holders = holders_of(look, dead.inode).unwrap_or_default();
        residue(dead, holders)
    });
    let mut wanted: Vec<_> = all
        .filter(|one| watched.filter.passes_residue(one))
        .collect();
    let process = |one: &Residue| one.holders.first().map(|holder| holder.pid);
    wanted.sort_by_key(|one| (process(one), one.remote, one.local, one.inode));
    let (failed, residue) = wanted.into_iter().partition(|one| one.never_connected);
    Some((failed, residue))
}

/// The sockets that have been in the state for long enough, the oldest first, and the number of
/// younger ones.
pub fn by_age(
    sockets: impl Iterator<Item = Socket>,
    now_ns: u64,
    watched: &Watched,
) -> (Vec<Socket>, usize) {
    let mut younger = 0;
    let is_old = |socket: &Socket| {
        let is_old = socket.age_ns(now_ns) >= watched.older_than_ns;
        younger += usize::from(!is_old);
        is_old
    };
    // In place, and each is moved once: there may be tens of thousands.
    let mut old: Vec<_> = sockets.filter(is_old).collect();
    old.sort_by_cached_key(|socket| (socket.since.moment_ns(), socket.identity.cookie));
    (old, younger)
}

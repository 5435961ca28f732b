//! The sockets that are stuck at a look.

use crate::{
    diagnosis::stuck::{
        group::group,
        residue::residue,
        tracker::{Tracker, holders_of},
    },
    model::{
        socket::{Socket, Stuck},
        stuck::{
            look::Look,
            residue::Residue,
            snapshot::{Snapshot, Watched, Younger},
        },
    },
};

/// The snapshot of a look.
#[must_use]
pub fn snapshot(mut look: Look, tracker: &mut Tracker, watched: &Watched) -> Snapshot {
    let now_ns = look.monotonic_ns;
    let (failed_connects, residue) = dead(&look, watched).unzip();
    let all = tracker.sockets(&mut look).into_iter();
    let tracing = look.tracing;
    let sorted = by_age(all, now_ns, watched, |socket| {
        tracker.passing().add(socket, &tracing)
    });
    Snapshot {
        time: Some(look.time),
        monotonic_ns: now_ns,
        watched: watched.clone(),
        groups: group(&sorted.sockets, now_ns, watched),
        sockets: sorted.sockets,
        stuck: sorted.stuck,
        younger: sorted.younger,
        left_out: sorted.left_out,
        flow: tracker.passing().end_look(),
        looked: Some(look.looked),
        remainders: sorted.remainders,
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

/// Sockets by their age.
#[derive(Debug, Default)]
pub struct ByAge {
    /// Those that are stuck, the oldest first, and then those that may be, of which may be the oldest
    /// first.
    pub sockets: Vec<Socket>,
    /// How many of them are stuck.
    pub stuck: usize,
    /// The others that pass the filter.
    pub younger: Younger,
    /// Remainders among both.
    pub remainders: usize,
    /// How many are stuck or may be and do not pass the filter.
    pub left_out: usize,
}

/// The sockets that have been in the state for long enough, those that may have been, and the
/// others. `each` is given those that pass the filter.
pub fn by_age(
    sockets: impl Iterator<Item = Socket>,
    now_ns: u64,
    watched: &Watched,
    mut each: impl FnMut(&Socket),
) -> ByAge {
    let mut sorted = ByAge::default();
    // In place, and each is moved once: there may be tens of thousands.
    let mut listed: Vec<_> = sockets
        .filter(|socket| {
            let kind = socket.stuck(now_ns, watched.older_than_ns);
            if !watched.filter.passes(socket) {
                sorted.left_out += usize::from(kind.is_some());
                return false;
            }
            each(socket);
            let details = socket.details.as_ref();
            sorted.remainders += usize::from(details.is_some_and(|details| details.remainder));
            sorted.stuck += usize::from(kind == Some(Stuck::Yes));
            if kind.is_none() {
                let younger = &mut sorted.younger;
                younger.count += 1;
                let at_most_ns = socket.age_at_most_ns(now_ns).unwrap_or(0);
                younger.oldest_at_most_ns = younger.oldest_at_most_ns.max(at_most_ns);
            }
            kind.is_some()
        })
        .collect();
    listed.sort_by_cached_key(|socket| {
        let kind = socket.stuck(now_ns, watched.older_than_ns);
        let earliest_ns = socket.earliest_ns.filter(|_| kind == Some(Stuck::MayBe));
        (
            kind,
            earliest_ns,
            socket.since.moment_ns(),
            socket.identity.cookie,
        )
    });
    ByAge {
        sockets: listed,
        ..sorted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fixtures::{NOW_NS, SECOND, end, listed, look, snapshot, watched},
        model::socket::Since,
    };

    #[test]
    fn a_lower_bound_below_the_threshold_is_not_younger() {
        let socket = |cookie, at_least_s: u64, at_most_s: Option<u64>| {
            let mut one = listed(cookie, end("10.0.0.1", 80), end("10.0.0.2", 9), at_least_s);
            one.data_not_before_ns = at_most_s.map(|seconds| NOW_NS - seconds * SECOND);
            one
        };
        let mut look = look();
        look.listed = vec![
            socket(1, 2, Some(29)),
            socket(2, 2, Some(36)),
            socket(3, 31, Some(40)),
            socket(4, 2, None),
            socket(5, 40, None),
        ];
        let snapshot = snapshot(look);
        let cookies = snapshot.sockets.iter().map(|one| one.identity.cookie);
        let order: Vec<_> = cookies.flatten().collect();
        assert_eq!(order, [5, 3, 4, 2]);
        assert_eq!((snapshot.stuck, snapshot.may_be()), (2, 2));
        let younger = snapshot.younger;
        assert_eq!((younger.count, younger.oldest_at_most_ns), (1, 29 * SECOND));
    }

    proptest! {
        /// Whatever the true age is, within the bounds: a stuck socket is not called younger, and a
        /// younger one not stuck.
        #[test]
        fn no_age_is_told_wrongly(age_s in 0_u64..100, low in 0_u64..100, high in 0_u64..100) {
            let (low, high) = (age_s.saturating_sub(low), age_s + high);
            let mut one = crate::fixtures::socket(listed(1, end("10.0.0.1", 1), end("10.0.0.2", 2), 0));
            one.since = Since::AtLatest(NOW_NS - low * SECOND);
            one.earliest_ns = Some(NOW_NS - high * SECOND);
            match one.stuck(NOW_NS, watched().older_than_ns) {
                Some(Stuck::Yes) => prop_assert!(age_s >= 30),
                Some(Stuck::MayBe) => prop_assert!(low < 30 && high >= 30),
                None => prop_assert!(age_s < 30),
            }
        }
    }
}

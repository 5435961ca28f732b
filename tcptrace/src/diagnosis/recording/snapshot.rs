//! What was stuck when a recording ended.

use std::collections::HashMap;

use crate::{
    diagnosis::{
        recording::recorded::Recorded,
        stuck::{
            group::group,
            snapshot::{ByAge, by_age},
        },
    },
    model::{
        caveat::Caveat,
        socket::Socket,
        stuck::{
            flow::Flow,
            snapshot::{Snapshot, Watched},
        },
    },
};

/// What was stuck when a recording ended. `caveats` are about the recording as a whole.
#[must_use]
pub fn snapshot(recorded: Recorded, watched: &Watched, mut caveats: Vec<Caveat>) -> Snapshot {
    let wanted = |socket: &Socket| watched.filter.passes(socket);
    let doubtful = recorded.doubtful.iter().filter(|s| wanted(s)).count();
    let now_ns = recorded.end.map_or(0, |(now_ns, _)| now_ns);
    let mut left_out = 0;
    let all = recorded.sockets.into_iter().filter(|socket| {
        let passes = wanted(socket);
        let is_left_out = !passes && socket.stuck(now_ns, watched.older_than_ns).is_some();
        left_out += usize::from(is_left_out);
        passes
    });
    let ByAge {
        sockets,
        stuck,
        younger,
    } = by_age(all, now_ns, watched);
    let any = !sockets.is_empty() || younger.count > 0;
    caveats.extend(recorded.facts.caveats(watched.state, any));
    if doubtful > 0 {
        caveats.push(Caveat::MayHaveLeft {
            count: doubtful as u64,
            state: watched.state,
        });
    }
    Snapshot {
        time: recorded.end.map(|(_, time)| time),
        monotonic_ns: now_ns,
        watched: watched.clone(),
        groups: group(&sockets, now_ns, watched),
        sockets,
        stuck,
        younger,
        left_out,
        flow: Flow::default(),
        looked: None,
        remainders: 0,
        residue: None,
        failed_connects: None,
        processes: HashMap::new(),
        netns_names: recorded.facts.origin.names().clone(),
        tracing: recorded.facts.tracing(),
        caveats,
    }
}

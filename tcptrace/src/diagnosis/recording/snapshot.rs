//! What was stuck when a recording ended.

use std::collections::HashMap;

use crate::{
    diagnosis::{
        recording::recorded::Recorded,
        stuck::{group::group, snapshot::ByAge},
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
    let wanted = |socket: &&Socket| watched.filter.passes(socket);
    let doubtful = recorded.doubtful.iter().filter(wanted).count();
    let now_ns = recorded.end.map_or(0, |(now_ns, _)| now_ns);
    // What is kept of a recording is bounded before.
    let mut sorted = ByAge::new(usize::MAX);
    for socket in recorded.sockets {
        sorted.add(socket, now_ns, watched, |_| {});
    }
    let sorted = sorted.sort(now_ns, watched);
    let any = !sorted.sockets.is_empty() || sorted.younger.count > 0;
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
        groups: group(&sorted.sockets, now_ns, watched),
        sockets: sorted.sockets,
        stuck: sorted.stuck,
        unkept: sorted.unkept,
        younger: sorted.younger,
        younger_remotes: sorted.younger_remotes,
        youngest: None,
        left_out: sorted.left_out,
        flow: Flow::default(),
        began_ns: None,
        looked: None,
        remainders: sorted.remainders,
        residue: None,
        dead: Vec::new(),
        failed_connects: None,
        listeners: None,
        exits: Vec::new(),
        processes: HashMap::new(),
        netns_names: recorded.facts.origin.names().clone(),
        tracing: recorded.facts.tracing(),
        caveats,
    }
}

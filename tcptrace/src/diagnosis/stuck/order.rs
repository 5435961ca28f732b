//! What of a snapshot comes first.

use std::cmp::Reverse;

use crate::model::{request::Sort, socket::Socket, stuck::snapshot::Snapshot};

/// Puts groups and sockets into this order; sockets that may be stuck stay behind those that are.
/// What is alike stays in the order of the snapshot.
pub fn sort(snapshot: &mut Snapshot, sort: Sort) {
    match sort {
        // As the snapshot is made.
        Sort::Sockets => {}
        Sort::Age => (snapshot.groups).sort_by_key(|group| group.oldest.moment_ns()),
        Sort::RecvQ => {
            (snapshot.groups).sort_by_key(|group| Reverse(group.recv_queue));
            let bytes = |socket: &Socket| socket.details.as_ref()?.recv_queue;
            let (stuck, may_be) = snapshot.sockets.split_at_mut(snapshot.stuck);
            stuck.sort_by_key(|socket| Reverse(bytes(socket)));
            may_be.sort_by_key(|socket| Reverse(bytes(socket)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{busy_look, snapshot};

    fn order(by: Sort) -> (Vec<Option<u32>>, Vec<Option<u64>>) {
        let mut snapshot = snapshot(busy_look());
        sort(&mut snapshot, by);
        let pids = snapshot
            .groups
            .iter()
            .map(|one| Some(one.owner.as_ref()?.pid));
        let cookies = snapshot.sockets.iter().map(|one| one.identity.cookie);
        (pids.collect(), cookies.collect())
    }

    #[test]
    fn the_worst_comes_first() {
        let (java, nginx) = (Some(4242), Some(80));
        let by_age = [1, 2, 3, 4].map(Some).to_vec();
        assert_eq!(order(Sort::Sockets), (vec![java, nginx], by_age.clone()));
        assert_eq!(order(Sort::Age), (vec![java, nginx], by_age));
        let by_bytes = [4, 1, 2, 3].map(Some).to_vec();
        assert_eq!(order(Sort::RecvQ), (vec![nginx, java], by_bytes));
    }
}

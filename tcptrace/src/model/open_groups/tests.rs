use tcptrace_common::TcpState;

use super::*;
use crate::{
    fixtures::{end, holder},
    model::{
        owner::Process,
        socket::{Since, Socket},
    },
    view::log::fixtures::{MONOTONIC_NS, owner, still_open},
};

/// It is from this port, and has been in CLOSE_WAIT for so many seconds.
fn open(port: u16, seconds: u64) -> StillOpen {
    let mut open = still_open();
    open.socket.identity.role = Role::Server;
    open.socket.identity.local = end("10.0.0.1", 8080);
    open.socket.identity.remote = end("10.0.0.7", port);
    open.socket.since = Since::Exact(MONOTONIC_NS - seconds * 1_000_000_000);
    open.socket.holders = Some(vec![holder(4242, "java", 57)]);
    open
}

fn of(all: impl IntoIterator<Item = StillOpen>) -> OpenGroups {
    let mut groups = OpenGroups::default();
    all.into_iter().for_each(|open| groups.add(&open));
    groups
}

fn named(pid: u32, comm: &str) -> Named {
    (Some(pid), comm.into())
}

#[test]
fn a_servers_sockets_are_one_group_and_residue_is_another() {
    let mut dead = open(3, 900);
    dead.socket.state = TcpState::Close;
    dead.residue_of = Some(TcpState::CloseWait);
    let mut elsewhere = open(4, 7);
    elsewhere.socket.identity.remote = end("::ffff:10.0.0.8", 9);
    let all = of([open(1, 5), dead, open(2, 6), elsewhere]);
    let groups = all.groups();
    let counts: Vec<_> = (groups.iter())
        .map(|group| (group.sockets, group.residue, group.oldest.0 / 1_000_000_000))
        .collect();
    assert_eq!(counts, [(3, false, 7), (1, true, 900)]);
    assert!(matches!(
        groups[0].ends,
        Ends::At {
            port: 8080,
            from: None,
            ..
        }
    ));
    assert_eq!(groups[0].users, Users::Opener);
    assert_eq!(
        all.counts(),
        [(TcpState::CloseWait, false, 3), (TcpState::Close, true, 1)]
    );
    assert_eq!(all.worst(TcpState::CloseWait), Some(Some(4242)));
    assert_eq!(all.worst(TcpState::FinWait2), None);
    let oldest: Vec<_> = all
        .oldest(Some(2))
        .iter()
        .map(|one| one.remote.port)
        .collect();
    assert_eq!(oldest, [3, 9]);
}

#[test]
fn processes_of_one_name_share_a_group() {
    let held = |port, pid, comm: &str| {
        let mut open = open(port, 5);
        open.socket.holders = Some(vec![holder(pid, comm, 3)]);
        open.socket.user = Some(owner(pid, comm));
        open
    };
    let all = of([
        held(1, 8, "sleep"),
        held(2, 7, "sleep"),
        held(3, 7, "sleep"),
        held(4, 6, "sh"),
    ]);
    let groups = all.groups();
    let sleep = Users::These(vec![named(7, "sleep"), named(8, "sleep")]);
    assert_eq!((groups[0].sockets, &groups[0].users), (3, &sleep));
    assert_eq!(groups[0].opener, Opener::Process(named(4242, "java")));
    assert_eq!(all.worst(TcpState::CloseWait), Some(Some(7)));
    // Whatever order they came in.
    let mut backwards = all.clone();
    backwards.members.reverse();
    assert_eq!(backwards.groups(), groups);
}

#[test]
fn what_is_not_known_is_said_to_be() {
    let who = |change: fn(&mut Socket)| {
        let mut open = open(1, 5);
        change(&mut open.socket);
        (opener(&open), users(&open))
    };
    let nobody = who(|socket| {
        socket.set_owner(None);
        socket.holders = None;
    });
    assert_eq!(nobody, (Opener::Unknown, Users::Unknown));
    // Descriptors could not be read.
    let unread = who(|socket| socket.holders = None);
    assert_eq!(
        unread,
        (Opener::Process(named(4242, "java")), Users::Unknown)
    );
    // Who has it open need not have opened it.
    let found = who(|socket| {
        let mut found = owner(4242, "java");
        found.known_by = KnownBy::Fd;
        socket.set_owner(Some(found));
    });
    assert_eq!(
        found,
        (Opener::Unknown, Users::These(vec![named(4242, "java")]))
    );
    let waits = who(|socket| {
        let mut listens = owner(4242, "java");
        listens.known_by = KnownBy::Listener;
        listens.process = Process::named((80, "nginx"));
        socket.set_owner(Some(listens));
        socket.holders = Some(Vec::new());
    });
    assert_eq!(
        waits,
        (Opener::Nobody, Users::These(vec![named(80, "nginx")]))
    );
}

#[test]
fn a_port_that_several_share_is_a_servers() {
    let unknown = |port, local| {
        let mut open = open(port, 5);
        open.socket.identity.role = Role::Unknown;
        open.socket.identity.local.port = local;
        open
    };
    let groups = of([unknown(1, 8080), unknown(2, 8080), unknown(3, 99)]).groups();
    assert!(matches!(groups[0].ends, Ends::At { port: 8080, .. }));
    assert!(matches!(groups[1].ends, Ends::To(Endpoint { port: 3, .. })));
}

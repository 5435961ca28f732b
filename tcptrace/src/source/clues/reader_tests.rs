use std::{
    iter,
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
    process::{Command, Stdio},
};

use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    fs::fstat,
};

use super::*;
use crate::model::{
    cause::{Interest, Upstream},
    socket::Endpoint,
};

fn asked_of(stream: &TcpStream) -> (u32, u32) {
    let inode = fstat(stream).expect("open").st_ino;
    let inode = inode.try_into().expect("32 bits");
    (inode, stream.as_raw_fd().cast_unsigned())
}

fn connections(count: usize) -> (TcpListener, Vec<(TcpStream, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("it has one");
    let pair = || {
        let client = TcpStream::connect(address).expect("it listens");
        (client, listener.accept().expect("a connection").0)
    };
    let pairs = iter::repeat_with(pair).take(count).collect();
    (listener, pairs)
}

fn set_of(streams: &[TcpStream], flags: EventFlags) -> OwnedFd {
    let set = epoll::create(CreateFlags::CLOEXEC).expect("a set");
    for stream in streams {
        epoll::add(&set, stream, EventData::new_u64(7), flags).expect("it can be watched");
    }
    set
}

#[test]
fn everything_is_read_of_this_process() {
    let (listener, pairs) = connections(4);
    let (clients, servers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let _set = set_of(&servers[..2], EventFlags::IN);
    let own = std::process::id();
    let netns = netns::own().expect("there is one");
    let sockets: Vec<_> = servers.iter().map(asked_of).collect();
    let asked = Asked {
        processes: [(own, sockets.clone()), (u32::MAX, Vec::new())].into(),
        upstreams_of: [own].into(),
        namespaces: [netns].into(),
    };
    let mut reader = ClueReader::default();
    // The second time some of it may be kept.
    for _ in 0..2 {
        let clues = reader.read(&asked);
        assert_eq!(clues.processes.keys().collect::<Vec<_>>(), [&own]);
        assert!(!clues.cut_short);
        assert!(clues.keepalive.contains_key(&netns));
        let found = &clues.processes[&own];
        let descriptors = found.descriptors.expect("they are counted");
        assert!(descriptors.open >= 9 && descriptors.open <= descriptors.limit);
        let level = Interest(0x19);
        let watched = [(sockets[0].0, level), (sockets[1].0, level)];
        assert_eq!(found.interest, Some(watched.into()));
        let closed = sockets.iter().map(|(inode, _)| (*inode, true));
        assert_eq!(found.close_on_exec, closed.collect());
        let address = listener.local_addr().expect("it has one");
        let remote = Endpoint {
            address: address.ip(),
            port: address.port(),
        };
        let upstreams = found.upstreams.as_ref().expect("they were looked for");
        // Those of other tests are there, too.
        let ours = upstreams.iter().find(|one| one.remote == remote);
        assert!(
            upstreams.len() >= 16 || ours == Some(&Upstream { remote, count: 4 }),
            "{upstreams:?}"
        );
    }
    drop(clients);
}

#[test]
fn what_is_not_asked_is_not_looked_for() {
    let own = std::process::id();
    let asked = Asked {
        processes: [(own, Vec::new())].into(),
        ..Asked::default()
    };
    let clues = ClueReader::default().read(&asked);
    assert!(clues.keepalive.is_empty());
    let found = &clues.processes[&own];
    assert_eq!(found.upstreams, None);
    assert_eq!(found.interest, Some([].into()));
    assert_eq!(
        ClueReader::default().read(&Asked::default()),
        Clues::default()
    );
}

#[test]
fn of_many_processes_those_with_the_most_sockets_are_read() {
    let processes = (0..=PROCESSES).map(|pid| (pid as u32, vec![(7, 3); pid]));
    let asked = Asked {
        processes: processes.collect(),
        ..Asked::default()
    };
    let chosen: Vec<_> = chosen(&asked).iter().map(|(pid, _)| *pid).collect();
    let expected: Vec<_> = (1..=PROCESSES as u32).rev().collect();
    assert_eq!(chosen, expected);
}

/// One that goes away in the middle of it makes no difference to others.
#[test]
fn a_process_may_go_away_at_any_time() {
    let own = std::process::id();
    for _ in 0..20 {
        // This program, which names its tests and ends.
        let mut command = Command::new("/proc/self/exe");
        command.arg("--list").stdout(Stdio::null());
        let mut child = command.spawn().expect("it can be started");
        let asked = Asked {
            processes: [(own, Vec::new()), (child.id(), vec![(7, 0)])].into(),
            ..Asked::default()
        };
        let clues = ClueReader::default().read(&asked);
        assert!(clues.processes.contains_key(&own));
        child.wait().expect("it ends");
        let clues = ClueReader::default().read(&asked);
        assert!(!clues.processes.contains_key(&child.id()));
    }
}

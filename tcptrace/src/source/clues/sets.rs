//! What the sets of `epoll` of a process wait for.
//!
//! Those of other processes are not looked at, though one may watch the same socket; nor what waits without a set
//! (`poll`, a `read`, io_uring).

use std::{
    collections::{HashMap, hash_map::Entry},
    os::fd::BorrowedFd,
};

use super::file::{self, lines, number, small, words};
use crate::model::cause::Interest;

/// What they wait for at sockets, by inode, whichever socket; `None` if one of them cannot be read. `info`: the folder
/// `/proc/PID/fdinfo`; `device`: that of sockets, as the kernel numbers it.
pub fn interest(info: BorrowedFd<'_>, sets: &[u32], device: u32) -> Option<HashMap<u32, Interest>> {
    let (mut all, mut text) = (HashMap::new(), Vec::new());
    let mut digits = itoa::Buffer::new();
    for set in sets {
        file::read(info, digits.format(*set), &mut text).ok()?;
        add(&mut all, &text, device)?;
    }
    Some(all)
}

/// Adds what one set waits for; `None` if it says it in a way that is not understood: before 4.13 the inode is missing.
fn add(all: &mut HashMap<u32, Interest>, text: &[u8], device: u32) -> Option<()> {
    for line in lines(text).filter(|line| line.starts_with(b"tfd:")) {
        let watched = Watched::read(line)?;
        let Some(inode) = watched.socket(device) else {
            continue;
        };
        match all.entry(inode) {
            Entry::Vacant(entry) => {
                entry.insert(watched.interest);
            }
            Entry::Occupied(mut entry) if tells(watched.interest) > tells(*entry.get()) => {
                entry.insert(watched.interest);
            }
            Entry::Occupied(_) => {}
        }
    }
    Some(())
}

/// Where several sets watch a socket, the one that tells most counts: one that wakes somebody as long as there is
/// something to read, then one of which nothing can be concluded, then one that does not read.
fn tells(interest: Interest) -> u8 {
    match (
        interest.is_level_triggered_read(),
        interest.is_edge_triggered(),
    ) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// A line of a set (`ep_show_fdinfo`, `fs/eventpoll.c`):
/// `tfd:        8 events:       19 data:    7fcd00000008  pos:0 ino:10c899a2 sdev:9`.
struct Watched {
    interest: Interest,
    inode: u64,
    device: u32,
}

impl Watched {
    fn read(line: &[u8]) -> Option<Self> {
        let (mut events, mut inode, mut device) = (None, None, None);
        let mut words = words(line);
        while let Some(word) = words.next() {
            if word == b"events:" {
                events = Some(small(words.next()?, 16)?);
            } else if let Some(hex) = word.strip_prefix(b"ino:") {
                inode = Some(number(hex, 16)?);
            } else if let Some(hex) = word.strip_prefix(b"sdev:") {
                device = Some(small(hex, 16)?);
            }
        }
        Some(Self {
            interest: Interest(events?),
            inode: inode?,
            device: device?,
        })
    }

    /// The inode, if it is a socket's: other filesystems use the same numbers.
    fn socket(&self, device: u32) -> Option<u32> {
        (self.device == device).then(|| self.inode.try_into().ok())?
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
        path::Path,
    };

    use proptest::prelude::*;
    use rustix::{
        event::epoll::{self, CreateFlags, EventData, EventFlags},
        fs::fstat,
    };

    use super::*;
    use crate::source::diag::sock_diag;

    const LINE: &str =
        "tfd:     1129 events: 80000019 data:     7fcd00000469  pos:0 ino:10c899a2 sdev:9\n";

    fn of(text: &str) -> Option<HashMap<u32, Interest>> {
        let mut all = HashMap::new();
        add(&mut all, text.as_bytes(), 9)?;
        Some(all)
    }

    #[test]
    fn a_line_is_read() {
        let text = format!("pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1038\n{LINE}");
        let expected = HashMap::from([(0x10c8_99a2, Interest(0x8000_0019))]);
        assert_eq!(of(&text), Some(expected));
        assert_eq!(of("pos:\t0\n"), Some(HashMap::new()));
        // Another filesystem's.
        assert_eq!(of(&LINE.replace("sdev:9", "sdev:8")), Some(HashMap::new()));
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        for (from, to) in [
            ("ino:10c899a2 sdev:9", ""),
            ("80000019", "?"),
            ("sdev:9", "sdev:"),
            (" events:", " "),
        ] {
            assert_eq!(of(&LINE.replace(from, to)), None, "{from}");
        }
    }

    #[test]
    fn of_several_sets_the_most_telling_counts() {
        let line =
            |events: u32| format!("tfd: 8 events: {events:8x} data: 8  pos:0 ino:7 sdev:9\n");
        for (events, expected) in [
            ([0x8000_0019, 0x19], 0x19),
            ([0x19, 0x8000_0019], 0x19),
            ([0x4000_0000, 0x8000_0019], 0x8000_0019),
            ([0x18, 0x4000_0000], 0x18),
        ] {
            let text = events.map(line).concat();
            assert_eq!(
                of(&text),
                Some(HashMap::from([(7, Interest(expected))])),
                "{events:x?}"
            );
        }
    }

    /// Two ends of a connection; the first one has something to read.
    fn readable() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut client =
            TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let (server, _) = listener.accept().expect("a connection");
        std::io::Write::write_all(&mut client, b"x").expect("it is open");
        (server, client)
    }

    fn set(socket: &TcpStream, flags: EventFlags) -> OwnedFd {
        let set = epoll::create(CreateFlags::CLOEXEC).expect("a set");
        epoll::add(&set, socket, EventData::new_u64(7), flags).expect("it can be watched");
        set
    }

    #[test]
    fn real_sets_are_read() {
        let device = sock_diag::device().expect("sock_diag is there");
        let folder = file::folder(Path::new("/proc/self/fdinfo")).expect("it is there");
        let (socket, _client) = readable();
        let inode: u32 = fstat(&socket)
            .expect("open")
            .st_ino
            .try_into()
            .expect("32 bits");
        let of = |sets: &[&OwnedFd]| {
            let sets: Vec<_> = sets
                .iter()
                .map(|set| set.as_raw_fd().cast_unsigned())
                .collect();
            interest(folder.as_fd(), &sets, device)
        };
        let only = |set: &OwnedFd| of(&[set]).expect("readable").get(&inode).copied();
        // EPOLLERR and EPOLLHUP are always waited for.
        let level = set(&socket, EventFlags::IN);
        assert_eq!(only(&level), Some(Interest(0x19)));
        let edge = set(&socket, EventFlags::IN | EventFlags::RDHUP | EventFlags::ET);
        assert_eq!(only(&edge), Some(Interest(0x8000_2019)));
        let once = set(&socket, EventFlags::IN | EventFlags::ONESHOT);
        assert_eq!(only(&once), Some(Interest(0x4000_0019)));
        let mut events = [epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }];
        assert_eq!(epoll::wait(&once, &mut events[..], None), Ok(1));
        assert_eq!(only(&once), Some(Interest(0x4000_0000)));
        let all = of(&[&once, &edge, &level]).expect("readable");
        assert_eq!(all.get(&inode), Some(&Interest(0x19)));
        // One that is gone.
        assert_eq!(interest(folder.as_fd(), &[u32::MAX], device), None);
        assert_eq!(interest(folder.as_fd(), &[], device), Some(HashMap::new()));
        assert_eq!(
            interest(
                folder.as_fd(),
                &[level.as_raw_fd().cast_unsigned()],
                device + 1
            ),
            Some(HashMap::new())
        );
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(
            flips in prop::collection::vec((0usize..80, any::<u8>()), 1..8),
            noise in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut line = LINE.as_bytes().to_vec();
            for (at, value) in flips {
                line[at] = value;
            }
            let _ = add(&mut HashMap::new(), &line, 9);
            let _ = add(&mut HashMap::new(), &[&b"tfd:"[..], &noise].concat(), 9);
        }
    }
}

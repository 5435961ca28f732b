//! Whether sockets are closed when their process executes another program.

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::BorrowedFd,
};

use super::file;

/// At most so many descriptors of a process are asked about.
const MOST: usize = 64;
/// `O_CLOEXEC` of `include/uapi/asm-generic/fcntl.h`, which x86, arm and RISC-V share.
const CLOSE_ON_EXEC: u64 = 0o2_000_000;

/// By inode, whether all descriptors of it are closed then; of some of these sockets (inode and descriptor), which lie
/// evenly among all. `info`: the folder `/proc/PID/fdinfo`.
pub fn close_on_exec(info: BorrowedFd<'_>, sockets: &[(u32, u32)]) -> HashMap<u32, bool> {
    let mut text = Vec::new();
    let mut is_closed = |inode: u32, fd: u32| {
        let mut digits = itoa::Buffer::new();
        file::read(info, digits.format(fd), &mut text).ok()?;
        said(&text, inode)
    };
    let mut found = HashMap::new();
    for (inode, descriptors) in some(sockets) {
        let all: Option<Vec<bool>> = descriptors.iter().map(|fd| is_closed(inode, *fd)).collect();
        if let Some(all) = all {
            found.insert(inode, all.into_iter().all(|one| one));
        }
    }
    found
}

/// Those that are asked about, each with all of its descriptors.
fn some(sockets: &[(u32, u32)]) -> Vec<(u32, Vec<u32>)> {
    let mut by_inode: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (inode, fd) in sockets {
        by_inode.entry(*inode).or_default().push(*fd);
    }
    let all: Vec<_> = by_inode.into_iter().collect();
    let count = (all.len() * MOST / sockets.len().max(MOST)).max(1);
    let evenly = (0..count).filter_map(|index| all.get(index * all.len() / count));
    let mut left = MOST;
    let fits = evenly.filter(|(_, descriptors)| {
        let after = left.checked_sub(descriptors.len());
        left = after.unwrap_or(left);
        after.is_some()
    });
    fits.cloned().collect()
}

/// What the file of a descriptor says (`seq_show`, `fs/proc/fd.c`); `None` if it is another socket's by now: the inode is
/// there since 5.14.
fn said(text: &[u8], inode: u32) -> Option<bool> {
    let other = |word: &[u8]| file::small(word, 10) != Some(inode);
    if file::value(text, "ino:").is_some_and(other) {
        return None;
    }
    let flags = file::number(file::value(text, "flags:")?, 8)?;
    Some(flags & CLOSE_ON_EXEC != 0)
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        os::fd::{AsFd as _, AsRawFd as _},
        path::Path,
    };

    use proptest::prelude::*;
    use rustix::{
        fs::fstat,
        io::{FdFlags, dup, fcntl_setfd},
    };

    use super::*;

    #[test]
    fn the_flags_of_the_socket_are_read() {
        let text = b"pos:\t0\nflags:\t02000002\nmnt_id:\t9\nino:\t7\n";
        assert_eq!(said(text, 7), Some(true));
        assert_eq!(said(text, 8), None);
        assert_eq!(
            said(b"pos:\t0\nflags:\t04002\nmnt_id:\t9\n", 7),
            Some(false)
        );
        for unknown in [&b""[..], b"flags:\t9\n", b"flags:\n"] {
            assert_eq!(said(unknown, 7), None);
        }
    }

    #[test]
    fn few_are_taken_evenly() {
        assert_eq!(some(&[]), []);
        assert_eq!(
            some(&[(7, 3), (8, 4), (7, 5)]),
            [(7, vec![3, 5]), (8, vec![4])]
        );
        let many: Vec<_> = (0..1000).map(|inode| (inode, inode + 3)).collect();
        let inodes: Vec<_> = some(&many).into_iter().map(|(inode, _)| inode).collect();
        assert_eq!(
            (inodes.len(), &inodes[..3], inodes[63]),
            (64, &[0, 15, 31][..], 984)
        );
        // Two descriptors each.
        let twice: Vec<_> = many
            .iter()
            .flat_map(|(inode, fd)| [(*inode, *fd), (*inode, fd + 2000)])
            .collect();
        let taken = some(&twice);
        assert_eq!((taken.len(), taken[31].0), (32, 968));
        // One that has more than may be asked about is left out.
        let one: Vec<_> = (0..100).map(|fd| (7, fd)).collect();
        assert_eq!(some(&one), []);
    }

    #[test]
    fn all_descriptors_count() {
        let folder = file::folder(Path::new("/proc/self/fdinfo")).expect("it is there");
        let sockets = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let [closed, open, both] = &sockets;
        let other = dup(both).expect("another descriptor");
        for descriptor in [open.as_fd(), other.as_fd()] {
            fcntl_setfd(descriptor, FdFlags::empty()).expect("it is open");
        }
        let of = |socket: &UdpSocket| -> u32 {
            fstat(socket)
                .expect("open")
                .st_ino
                .try_into()
                .expect("32 bits")
        };
        let mut asked: Vec<_> = sockets
            .iter()
            .map(|one| (of(one), one.as_raw_fd().cast_unsigned()))
            .collect();
        asked.push((of(both), other.as_raw_fd().cast_unsigned()));
        // One that is gone.
        asked.push((1, u32::MAX));
        let expected = [(of(closed), true), (of(open), false), (of(both), false)];
        assert_eq!(
            close_on_exec(folder.as_fd(), &asked),
            HashMap::from(expected)
        );
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = said(&text, 7);
            let _ = said(&[&b"flags:\t"[..], &text].concat(), 7);
        }

        #[test]
        fn never_too_many(sockets in prop::collection::vec((0u32..50, any::<u32>()), 0..300)) {
            let all: usize = some(&sockets).iter().map(|(_, descriptors)| descriptors.len()).sum();
            prop_assert!(all <= MOST);
        }
    }
}

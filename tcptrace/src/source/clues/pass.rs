//! What a process has open: one pass over its descriptors, which every question about them shares.

use std::{
    collections::{HashMap, HashSet},
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::{
    fs::{RawDir, readlinkat_raw},
    io::Errno,
    path::Arg,
};

use super::{descriptors, file};

/// What is found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// How many descriptors are open.
    pub open: u64,
    /// Inodes of the sockets among them.
    pub sockets: HashSet<u32>,
    /// The descriptors of its sets of `epoll`.
    pub sets: Vec<u32>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// The process is gone, or may not be looked into.
    Unreadable,
    /// It has more descriptors than may still be looked at.
    TooMany,
}

impl From<io::Error> for Missed {
    fn from(_: io::Error) -> Self {
        Self::Unreadable
    }
}

/// Looks at every descriptor of the process, except those `known` to be of these sockets (inode and descriptor).
/// `left`: how many may still be looked at.
///
/// A table of a thread of its own (`unshare(CLONE_FILES)`) is not seen.
///
/// # Errors
/// Says why not.
pub fn over(process: &Path, known: &[(u32, u32)], left: &mut u64) -> Result<Pass, Missed> {
    let known: HashMap<u32, u32> = known.iter().map(|(inode, fd)| (*fd, *inode)).collect();
    let open = descriptors::open(process);
    if open.is_some_and(|open| open.saturating_sub(known.len() as u64) > *left) {
        return Err(Missed::TooMany);
    }
    let mut walk = Walk {
        pass: Pass {
            // Also those that have been closed just now.
            sockets: known.values().copied().collect(),
            ..Pass::default()
        },
        left,
        known,
    };
    let folder = file::folder(&process.join("fd"))?;
    match size(process).filter(|size| is_dense(*size, open, walk.known.len())) {
        Some(size) => walk.numbers(folder.as_fd(), size, open)?,
        None => walk.list(folder.as_fd())?,
    }
    Ok(walk.pass)
}

/// How long the table is: every descriptor is below that (`FDSize` in `task_state`, `fs/proc/array.c`).
fn size(process: &Path) -> Option<u32> {
    let mut status = Vec::new();
    file::read(file::folder(process).ok()?, "status", &mut status).ok()?;
    file::small(file::value(&status, "FDSize:")?, 10)
}

/// Whether so much of the table is in use that trying every number costs less than a list: for that the kernel makes an
/// entry of each, which takes about as long as reading what the entry leads to.
fn is_dense(size: u32, open: Option<u64>, known: usize) -> bool {
    let open = open.unwrap_or(known as u64);
    u64::from(size) <= open.saturating_mul(2).max(256)
}

struct Walk<'a> {
    pass: Pass,
    left: &'a mut u64,
    /// Inodes by descriptor.
    known: HashMap<u32, u32>,
}

impl Walk<'_> {
    /// Tries the numbers below `size`, until all that were `open` are found: the lowest ones are given first.
    fn numbers(
        &mut self,
        folder: BorrowedFd<'_>,
        size: u32,
        open: Option<u64>,
    ) -> Result<(), Missed> {
        let mut digits = itoa::Buffer::new();
        for fd in 0..size {
            if open.is_some_and(|open| self.pass.open >= open) {
                break;
            }
            self.one(folder, fd, digits.format(fd))?;
        }
        Ok(())
    }

    fn list(&mut self, folder: BorrowedFd<'_>) -> Result<(), Missed> {
        let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
        let mut entries = RawDir::new(folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let name = entry.map_err(io::Error::from)?;
            let name = name.file_name();
            if let Some(fd) = file::small(name.to_bytes(), 10) {
                self.one(folder, fd, name)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, folder: BorrowedFd<'_>, fd: u32, name: impl Arg) -> Result<(), Missed> {
        if self.known.contains_key(&fd) {
            self.pass.open += 1;
            return Ok(());
        }
        *self.left = self.left.checked_sub(1).ok_or(Missed::TooMany)?;
        // What is looked for is short; a longer path is cut off.
        let mut path = [MaybeUninit::uninit(); 64];
        let path: &[u8] = match readlinkat_raw(folder, name, &mut path) {
            Ok((path, _)) => path,
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NAMETOOLONG) => &[],
            Err(_) => return Err(Missed::Unreadable),
        };
        self.pass.open += 1;
        if path == b"anon_inode:[eventpoll]" {
            self.pass.sets.push(fd);
        } else if let Some(inode) = socket(path) {
            self.pass.sockets.insert(inode);
        }
        Ok(())
    }
}

/// The inode of a socket with this path (`sockfs_dname`, `net/socket.c`). Those of files begin with a slash.
fn socket(path: &[u8]) -> Option<u32> {
    let inode = path.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    file::small(inode, 10)
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    };

    use proptest::prelude::*;
    use rustix::{event::epoll, fs::fstat, io::fcntl_dupfd_cloexec};

    use super::*;

    const OWN: &str = "/proc/self";
    const ENOUGH: u64 = 100_000;

    fn inode(socket: &UdpSocket) -> u32 {
        let inode = fstat(socket).expect("it is open").st_ino;
        u32::try_from(inode).expect("the kernel numbers sockets with 32 bits")
    }

    #[test]
    fn both_ways_find_sockets_and_sets() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a set");
        let set = fcntl_dupfd_cloexec(&set, 700).expect("a high number");
        let folder = file::folder(Path::new("/proc/self/fd")).expect("it is there");
        let found = |dense: bool| {
            let mut left = ENOUGH;
            let mut walk = Walk {
                pass: Pass::default(),
                left: &mut left,
                known: HashMap::new(),
            };
            match dense {
                true => walk.numbers(folder.as_fd(), 1024, None),
                false => walk.list(folder.as_fd()),
            }
            .expect("the own ones can be read");
            walk.pass
        };
        for dense in [true, false] {
            let pass = found(dense);
            assert!(pass.sockets.contains(&inode(&socket)), "{dense}");
            assert!(
                pass.sets.contains(&set.as_raw_fd().cast_unsigned()),
                "{dense}"
            );
            assert!(pass.open >= 4, "{dense}");
        }
    }

    #[test]
    fn what_is_known_is_not_looked_at() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let known = [(7, socket.as_raw_fd().cast_unsigned())];
        let pass = over(Path::new(OWN), &known, &mut { ENOUGH }).expect("it can be read");
        assert!(pass.sockets.contains(&7) && !pass.sockets.contains(&inode(&socket)));
    }

    #[test]
    fn there_may_be_too_many_or_none() {
        let of = |path: &str, mut left: u64| over(Path::new(path), &[], &mut left);
        assert_eq!(of(OWN, 1), Err(Missed::TooMany));
        assert_eq!(of("/proc/none", 100), Err(Missed::Unreadable));
    }

    #[test]
    fn the_table_is_as_long_as_it_is() {
        let size = size(Path::new(OWN)).expect("the kernel says so");
        assert!(size >= 64, "{size}");
        assert!(is_dense(64, Some(10), 0) && is_dense(16384, Some(10_000), 0));
        assert!(is_dense(16384, None, 10_000) && !is_dense(16384, None, 0));
        assert!(!is_dense(16384, Some(100), 0));
    }

    #[test]
    fn only_a_socket_is_taken_for_one() {
        assert_eq!(socket(b"socket:[7]"), Some(7));
        for other in [
            &b"/tmp/socket:[7]"[..],
            b"socket:[7",
            b"pipe:[7]",
            b"",
            b"socket:[4294967296]",
        ] {
            assert_eq!(socket(other), None);
        }
        let file = std::fs::metadata(OWN).expect("it is there");
        assert!(file.ino() > 0);
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(path in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (socket(&path), socket(&[&b"socket:["[..], &path].concat()));
        }
    }
}

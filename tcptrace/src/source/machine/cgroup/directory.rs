//! Directories of the unified hierarchy, and what is below them.

use std::{
    ffi::{OsStr, OsString},
    io,
    ops::ControlFlow,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, FsWord, Mode, OFlags, StatxFlags, fstat, fstatfs, open, openat,
        statx,
    },
    io::Errno,
};

/// The type of the unified hierarchy's file system (`CGROUP2_SUPER_MAGIC` of
/// `include/uapi/linux/magic.h`).
const CGROUP2: FsWord = 0x6367_7270;

/// The inode number of the hierarchy's own root, which no other directory has (`kernfs_create_root`).
pub const ROOT: u64 = 1;

const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// An open directory of the unified hierarchy. What is found from it is in the hierarchy, too: no link and
/// no mount is followed, which in another process's mounts might lead anywhere.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// The directory at a path of this process's own; `None` if it is none of the unified hierarchy.
    pub fn at(path: &Path) -> Option<Self> {
        Self::checked(open(path, FLAGS, Mode::empty()).ok()?)
    }

    /// The directory at `path` below the root directory of a process (`/proc/PID/root`).
    pub fn of_process(root: &Path, path: &str) -> Option<Self> {
        let root = open(root, FLAGS | OFlags::PATH, Mode::empty()).ok()?;
        let path = Path::new(path);
        Self::checked(step_by_step(root.as_fd(), path, FLAGS, None).ok()?)
    }

    /// The same of what is open already.
    pub fn checked(file: OwnedFd) -> Option<Self> {
        let is_one = fstatfs(&file).is_ok_and(|on| on.f_type == CGROUP2);
        is_one.then_some(Self(file))
    }

    /// Its id.
    pub fn id(&self) -> Option<u64> {
        fstat(&self.0).ok().map(|stat| stat.st_ino)
    }

    /// Whether it is the machine's root of all control groups.
    pub fn is_root(&self) -> bool {
        self.id() == Some(ROOT)
    }

    /// What is at `path` below it, which is "" for itself.
    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        step_by_step(self.as_fd(), path, flags, Some(mount_of(self.as_fd())?))
    }

    /// The id of the directory at `path` below it; `None` if there is none.
    pub fn id_at(&self, path: &Path) -> Option<u64> {
        let found = self.open(path, FLAGS | OFlags::PATH).ok()?;
        fstat(found).ok().map(|stat| stat.st_ino)
    }

    /// Whether there is something else than a directory at `path` below it.
    pub fn is_file(&self, path: &Path) -> bool {
        let found = self.open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC);
        let kind = found.and_then(|file| Ok(FileType::from_raw_mode(fstat(file)?.st_mode)));
        kind.is_ok_and(|kind| kind != FileType::Directory)
    }

    /// A path that leads to it as long as it is open.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Gives the ids and paths of the directory at `path` and of all below it to `each`, until that breaks
    /// off. Paths are from this directory.
    pub fn walk(&self, path: &Path, mut each: impl FnMut(u64, &Path) -> ControlFlow<()>) {
        let Ok(mount) = mount_of(self.as_fd()) else {
            return;
        };
        let mut waiting: Vec<(Option<Place>, PathBuf)> = vec![(None, path.to_owned())];
        while let Some((place, path)) = waiting.pop() {
            let opened = match &place {
                None => self.open(&path, FLAGS),
                Some((above, name)) => above
                    .fd()
                    .map_err(io::Error::from)
                    .and_then(|above| step(above, name, FLAGS, Some(mount))),
            };
            // Meanwhile it may have been removed.
            let Ok(directory) = opened else { continue };
            let Ok(stat) = fstat(&directory) else {
                continue;
            };
            if each(stat.st_ino, &path).is_break() {
                return;
            }
            let Ok(mut directory) = Dir::new(directory) else {
                continue;
            };
            let is_below = |name: &&[u8]| ![&b"."[..], b".."].contains(name);
            let names: Vec<OsString> = (directory.by_ref().flatten())
                .filter(|entry| entry.file_type() == FileType::Directory)
                .map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec()))
                .filter(|name| is_below(&name.as_bytes()))
                .collect();
            let directory = Rc::new(directory);
            waiting.extend(names.into_iter().map(|name| {
                let path = path.join(&name);
                (Some((Rc::clone(&directory), name)), path)
            }));
        }
    }
}

/// Where a directory is that is still to be walked: below which open one, and its name there.
type Place = (Rc<Dir>, OsString);

/// Opens what is at `path` below `from`, which is "" for itself. No link is followed, and nothing leads out of
/// `from`, or with `mount` out of that one. `openat2` does the same in one call, but a filter of system calls
/// cannot see whether it opens something for writing.
fn step_by_step(
    from: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mount: Option<u64>,
) -> io::Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let flags = match components.peek() {
            None => flags,
            Some(_) => FLAGS | OFlags::PATH,
        };
        let above = at.as_ref().map_or(from, AsFd::as_fd);
        at = Some(step(above, name, flags, mount)?);
    }
    match at {
        Some(found) => Ok(found),
        None => Ok(openat(from, ".", flags, Mode::empty())?),
    }
}

/// One step of it.
fn step(
    above: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    mount: Option<u64>,
) -> io::Result<OwnedFd> {
    let found = openat(above, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    match mount {
        Some(mount) if mount_of(found.as_fd())? != mount => Err(Errno::XDEV.into()),
        _ => Ok(found),
    }
}

/// The number of the mount that it is in; the same for all where the kernel does not tell (before 5.8).
fn mount_of(file: BorrowedFd<'_>) -> io::Result<u64> {
    let stat = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let tells = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    Ok(if tells { stat.stx_mnt_id } else { 0 })
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! The folder of a log: nobody else can write to it, and no link leads to it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RawDir, mkdirat, open, openat, renameat, statat, unlinkat},
    io::Errno,
    process::geteuid,
};

use crate::{
    sink::open::{APPEND, create, kind, lock, names, refusal, refused},
    view::parts::clean,
};

/// Nobody else can open it, and so nobody else can hold the lock.
const LOCK: &str = "tcptrace.lock";
const NEW_FOLDER: Mode = Mode::from_raw_mode(0o700);
/// Opens a folder only as a place to go on from.
const STEP: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open folder. What happens to its path afterwards does not matter.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    /// Another session cannot use the folder as long as this is open.
    _lock: File,
}

impl Folder {
    /// Opens a folder, and makes it if it does not exist.
    ///
    /// # Errors
    /// When a link leads to it, when it belongs to somebody else, when others can write to it, or when
    /// another session uses it. The message says what to do.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let place = walk(path)?;
        let fd = openat(
            &place,
            c".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let fd = fd.with_context(|| format!("cannot open the folder {}", clean::path(path)))?;
        check(&fd, path)?;
        let locked = append(&fd, LOCK).and_then(|file| {
            lock(&file).map_err(|_| refused("another session of tcptrace is writing into it"))?;
            Ok(file)
        });
        Ok(Self {
            _lock: locked
                .with_context(|| format!("cannot use the folder {}", clean::path(path)))?,
            fd,
            path: path.to_owned(),
        })
    }

    /// Its path when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file in it to append to, and makes it if it does not exist.
    ///
    /// # Errors
    /// Also when it is not a regular file, is somebody else's or has another name.
    pub fn append(&self, name: &str) -> io::Result<File> {
        append(&self.fd, name)
    }

    /// Makes a file in it.
    ///
    /// # Errors
    /// `AlreadyExists` when anything has this name.
    pub fn create(&self, name: &str) -> io::Result<File> {
        create(&self.fd, name.as_ref())
    }

    /// Opens a file in it for reading; `None` if there is none.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn read(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => own(File::from(file)).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(opening(error)),
        }
    }

    /// Whether anything has this name.
    pub fn has(&self, name: &str) -> bool {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether this name still means this file.
    pub fn names(&self, name: &str, file: &File) -> bool {
        names(&self.fd, name.as_ref(), file)
    }

    /// Renames something in it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file from it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Calls `each` with every name in it that is UTF-8, as those of `tcptrace` are.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(&self.fd, c".", flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_str();
            let name = name.ok().filter(|name| !matches!(*name, "." | ".."));
            name.into_iter().for_each(&mut *each);
        }
        Ok(())
    }
}

fn append(folder: &OwnedFd, name: &str) -> io::Result<File> {
    loop {
        match openat(folder, name, APPEND, Mode::empty()) {
            Ok(file) => return own(File::from(file)),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(opening(error)),
        }
        match create(folder, name.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
}

fn opening(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => refused("it is a symbolic link"),
        error => error.into(),
    }
}

fn own(file: File) -> io::Result<File> {
    match refusal(&file.metadata()?) {
        Some(why) => Err(refused(why)),
        None => Ok(file),
    }
}

/// Goes from folder to folder, and makes those that do not exist.
fn walk(path: &Path) -> anyhow::Result<OwnedFd> {
    let first = if path.is_absolute() { "/" } else { "." };
    let mut place = open(first, STEP, Mode::empty())
        .with_context(|| format!("cannot open the folder {first}"))?;
    let mut walked = PathBuf::new();
    for component in path.components() {
        walked.push(component);
        let name = match component {
            Component::Prefix(_) | Component::RootDir | Component::CurDir => continue,
            Component::ParentDir => OsStr::new(".."),
            Component::Normal(name) => name,
        };
        let next = match openat(&place, name, STEP, Mode::empty()) {
            Err(Errno::NOENT) => {
                match mkdirat(&place, name, NEW_FOLDER) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    made => made.with_context(|| {
                        format!("cannot create the folder {}", clean::path(&walked))
                    })?,
                }
                openat(&place, name, STEP, Mode::empty())
            }
            next => next,
        };
        place = match next {
            Ok(next) => next,
            Err(Errno::NOTDIR | Errno::LOOP) => bail!(in_the_way(path, &walked)),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot open the folder {}", clean::path(&walked)));
            }
        };
    }
    Ok(place)
}

/// What is there instead of a folder.
fn in_the_way(path: &Path, walked: &Path) -> String {
    let kind = fs::symlink_metadata(walked).map_or("no folder", |found| kind(&found));
    let mut text = format!(
        "cannot write into {}: {} is {kind}, and tcptrace follows no links here, because others may have \
         planted them",
        clean::path(path),
        clean::path(walked)
    );
    if kind == "a symbolic link"
        && let Ok(real) = walked.canonicalize()
    {
        let rest = path.strip_prefix(walked).unwrap_or(Path::new(""));
        text += &format!("\n  try: --dir {}", clean::path(&real.join(rest)));
    }
    text
}

/// Checks that only this user can have put anything into the folder.
fn check(fd: &OwnedFd, path: &Path) -> anyhow::Result<()> {
    let (name, own) = (clean::path(path), geteuid().as_raw());
    let status = File::from(fd.try_clone()?).metadata()?;
    let inside = clean::path(&path.join("tcptrace"));
    ensure!(
        status.uid() == own,
        "cannot write into {name}: it belongs to user {}, not to {own}, and whoever owns a folder can plant \
         links in it\n  try: a folder of your own, which tcptrace makes: --dir {inside}",
        status.uid()
    );
    ensure!(
        status.mode() & 0o022 == 0,
        "cannot write into {name}: others can write to it (mode {:04o}), and so plant links in it\n  \
         try: a new folder, which tcptrace makes: --dir {inside}, or: chmod go-w {name}",
        status.mode() & 0o7777
    );
    Ok(())
}
